// The recipes of docs/clients.md against the demo, but for interceptors.

const assert = require('node:assert/strict');
const test = require('node:test');
const { PICTURE } = require('./phone.js');
const { API, runRecipe, newPhone, openPhone } = require('./recipe.js');
const { LOGIN, UPDATE, end, tokenOf } = require('./session.js');

// --- The plain mini-program.

function startPlain(phone) {
  let launched;
  runRecipe('plain/app.js', phone, { App: (app) => { launched = app.onLaunch(); } });
  let page;
  const setData = (changes) => { Object.assign(page.data, changes); };
  runRecipe('plain/orders.js', phone, { Page: (definition) => { page = { ...definition, setData }; } });
  return { launched, page };
}

test('the plain mini-program logs in once and calls its service with the token', async () => {
  const phone = newPhone();
  const opened = [];
  Object.assign(phone.wx, {
    chooseMedia: async () => ({ tempFiles: [{ tempFilePath: PICTURE }] }), openDocument: async ({ filePath }) => { opened.push(filePath); },
  });
  const { page } = startPlain(phone);
  await page.onShow();
  assert.deepEqual([page.data.orders.items, page.data.problem], [['tea'], '']);
  await page.onAddPhoto();
  assert.equal(page.data.photo, API + '/photos/7');
  await page.onShowInvoice();
  assert.deepEqual(opened, [PICTURE]);
  const token = tokenOf(phone);
  assert.deepEqual(phone.service.calls,
    [['request', API + '/orders', token], ['uploadFile', API + '/photos', token], ['downloadFile', API + '/invoice.pdf', token]]);
  assert.equal(phone.seen.logins, 1);
});

test('the plain mini-program says why it shows nothing', async () => {
  const phone = await openPhone();
  const { page } = startPlain(phone);
  phone.service.refuses = true;
  await page.onShow();
  assert.equal(page.data.problem, '暂时无法完成（unknown）');
  await phone.client.logout();
  await page.onShow();
  assert.equal(page.data.problem, '请先登录');
});

// --- The socket.

/** startSocket returns the recipe's socket on a phone, which may be stopped at once. pass ends the pause that was asked for last. */
async function startSocket(phone, { isStopped = false } = {}) {
  const sockets = [];
  phone.wx.connectSocket = ({ url, header }) => {
    const socket = { url, token: header.Authorization.replace('Bearer ', ''), closed: false };
    for (const event of ['Message', 'Close', 'Error']) socket['on' + event] = (listener) => { socket[event] = listener; };
    socket.close = () => { socket.closed = true; socket.Close({ code: 1000 }); };
    sockets.push(socket);
    return socket;
  };
  const pauses = [];
  let due;
  const timers = { setTimeout: (run, ms) => { pauses.push(ms); due = run; }, clearTimeout: () => { due = undefined; } };
  const messages = [];
  const stop = runRecipe('socket.js', phone, { timers }).keepSocket('wss://api.example.com/events', (data) => messages.push(data));
  const settle = async () => {
    do await new Promise((resolve) => { setTimeout(resolve, 5); }); while (!(await phone.net.isQuiet()));
  };
  if (isStopped) stop();
  await settle();
  const pass = async () => { due(); await settle(); };
  return { sockets, pauses, messages, stop, settle, pass, isDue: () => due !== undefined };
}

test('the socket has the token, one login and one connection', async () => {
  const phone = newPhone();
  const { sockets, messages } = await startSocket(phone);
  assert.deepEqual(sockets.map(({ url, token }) => [url, token]), [['wss://api.example.com/events', tokenOf(phone)]]);
  sockets[0].Message({ data: 'tea' });
  assert.deepEqual([messages, phone.seen.logins], [['tea'], 1]);
});

test('a socket that is lost comes back, with longer pauses, and with another token if the token has ended', async () => {
  const phone = await openPhone();
  const { sockets, pauses, pass } = await startSocket(phone);
  sockets[0].Error({});
  sockets[0].Close({ code: 1006 });
  await pass();
  assert.equal(sockets[1].token, phone.token);
  await end(phone.token);
  sockets[1].Close({ code: 1006 });
  await pass();
  assert.deepEqual([sockets.length, pauses], [3, [1000, 2000]]);
  assert.ok(sockets[2].token === tokenOf(phone) && sockets[2].token !== phone.token);
  assert.deepEqual([phone.seen.requests.filter((each) => each === LOGIN).length, sockets[2].closed], [1, false]);
  sockets[2].Message({ data: '' });
  sockets[2].Close({ code: 1006 });
  assert.equal(pauses[2], 1000);
});

test('a socket goes on when the network is back', async () => {
  const phone = await openPhone();
  const { sockets, pauses, pass } = await startSocket(phone);
  phone.net.away = true;
  sockets[0].Close({ code: 1006 });
  await pass();
  assert.deepEqual([sockets.length, pauses], [1, [1000, 2000]]);
  phone.net.away = false;
  await pass();
  assert.equal(sockets.length, 2);
});

test('a logout closes the socket, and a login opens another one', async () => {
  const phone = await openPhone();
  const { sockets, settle, isDue } = await startSocket(phone);
  await phone.client.logout();
  await settle();
  assert.deepEqual([sockets.length, sockets[0].closed, isDue()], [1, true, false]);
  await phone.client.login();
  await settle();
  assert.deepEqual([sockets.length, sockets[1].token, sockets[1].closed], [2, tokenOf(phone), false]);
});

test('a socket waits for a login', async () => {
  const phone = await openPhone();
  await phone.client.logout();
  const { sockets, settle, isDue } = await startSocket(phone);
  assert.deepEqual([sockets.length, isDue(), phone.seen.logins], [0, false, 0]);
  await phone.client.login();
  await settle();
  assert.equal(sockets.length, 1);
});

test('a socket that is no longer wanted stays closed, or does not open', async () => {
  const phone = await openPhone();
  assert.equal((await startSocket(phone, { isStopped: true })).sockets.length, 0);
  const { sockets, stop, settle, isDue } = await startSocket(phone);
  stop();
  await phone.client.login({ fresh: true });
  await settle();
  assert.deepEqual([sockets.length, sockets[0].closed, isDue()], [1, true, false]);
});

// --- The mini-game, and the signature.

test('a mini-game takes the profile from the button', async () => {
  const phone = newPhone();
  let tap;
  const destroyed = new Promise((destroy) => {
    phone.wx.createUserInfoButton = () => ({ onTap: (listener) => { tap = listener; }, destroy });
  });
  runRecipe('game.js', phone);
  while (!tap) await new Promise((resolve) => { setTimeout(resolve, 5); });
  tap({ errMsg: 'getUserInfo:fail auth deny' });
  while (!(await phone.net.isQuiet())) await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual(phone.seen.requests, [LOGIN]);
  tap({ errMsg: 'getUserInfo:ok' });
  await destroyed;
  assert.deepEqual(phone.seen.requests, [LOGIN, UPDATE]);
});

test('a signature is made with the session_key that WeChat has', async () => {
  const phone = await openPhone();
  let isStale = false;
  const paid = [];
  Object.assign(phone.wx, {
    checkSession: async () => { if (isStale) throw new Error('checkSession:fail'); },
    requestVirtualPayment: async (signed) => { paid.push(signed); },
  });
  const { pay } = runRecipe('pay.js', phone);
  await pay({ goods: 7 });
  assert.deepEqual([phone.seen.logins, phone.service.calls.length], [0, 1]);
  isStale = true;
  await pay({ goods: 7 });
  assert.deepEqual([phone.seen.logins, phone.service.calls.length, paid.length], [1, 2, 2]);
});
