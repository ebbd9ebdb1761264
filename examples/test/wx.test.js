const assert = require('node:assert/strict');
const http = require('node:http');
const test = require('node:test');
const { createWx } = require('../phone/wx.js');
const { newUser, server, simulator } = require('./phone.js');

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const NOBODY = 'http://127.0.0.1:1'; // nothing listens there

function takePhone(options = {}) {
  return createWx({ simulator, user: newUser(), ...options });
}

// ask makes a promise of a call.
function ask(wx, name, options = {}) {
  return new Promise((success, fail) => { wx[name]({ ...options, success, fail }); });
}

async function logIn(wx) {
  const { code } = await ask(wx, 'login');
  const res = await ask(wx, 'request', { url: server + '/onLogin', method: 'POST', header: FORM, data: { code } });
  assert.equal(res.statusCode, 200);
  return res.data.token;
}

function sendProfile(wx, token, { encryptedData, iv }) {
  return ask(wx, 'request', {
    url: server + '/updateUserInfo', method: 'POST', header: FORM, data: { token, encryptedData, iv },
  });
}

// listen starts a server that answers with answer(req, body), and returns its address.
async function listen(t, answer) {
  const listener = http.createServer(async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    answer(req, Buffer.concat(parts), res);
  });
  await new Promise((listening) => { listener.listen(0, '127.0.0.1', listening); });
  t.after(() => { listener.closeAllConnections(); listener.close(); });
  return `http://127.0.0.1:${listener.address().port}`;
}

// echo starts a server that answers with what it was sent.
function echo(t) {
  return listen(t, (req, body, res) => {
    res.end(JSON.stringify({
      method: req.method, url: req.url, type: req.headers['content-type'], own: req.headers['x-own'], body: body.toString('latin1'),
    }));
  });
}

test('wx.login gives a code that logs in, once', async () => {
  const { wx, device } = takePhone();
  const { code, errMsg } = await ask(wx, 'login');
  assert.equal(errMsg, 'login:ok');
  const again = () => ask(wx, 'request', { url: server + '/onLogin', method: 'POST', data: { code } });
  assert.equal((await again()).statusCode, 200);
  assert.equal((await again()).data.code, 'invalid_code');
  assert.equal(device.seen.logins, 1);
  assert.deepEqual(device.seen.requests, ['POST /onLogin 200', 'POST /onLogin 400']);
});

test('callbacks come after the call has returned, complete at the end', async () => {
  const { wx } = takePhone();
  const said = [];
  const over = new Promise((complete) => {
    wx.requirePrivacyAuthorize({
      success: () => said.push('success'), fail: () => said.push('fail'), complete: () => { said.push('complete'); complete(); },
    });
  });
  said.push('returned');
  await over;
  assert.deepEqual(said, ['returned', 'success', 'complete']);
});

test('without callbacks a call gives a promise, but a request a task', async (t) => {
  const { wx } = takePhone();
  assert.equal((await wx.login()).errMsg, 'login:ok');
  const task = wx.request({ url: await echo(t) });
  assert.equal(typeof task.abort, 'function');
  assert.equal(task.then, undefined);
});

test('a call that fails says so, and what its name is', async () => {
  const { wx } = takePhone({ simulator: NOBODY });
  await assert.rejects(ask(wx, 'login'), ({ errMsg }) => errMsg.startsWith('login:fail '));
  await assert.rejects(wx.login(), ({ errMsg }) => errMsg.startsWith('login:fail '));
  await assert.rejects(ask(wx, 'request', { url: NOBODY }), ({ errMsg }) => errMsg.startsWith('request:fail '));
  await assert.rejects(ask(wx, 'request', { url: 'no url' }), ({ errMsg }) => errMsg.startsWith('request:fail '));
  const stranger = takePhone({ appId: 'wx-of-nobody' });
  await assert.rejects(ask(stranger.wx, 'login'), { errMsg: 'login:fail the simulator answers 400' });
});

test('wx.getUserInfo wants a login first, and gives the placeholder of a release of today', async () => {
  const { wx } = takePhone();
  await assert.rejects(ask(wx, 'getUserInfo'), { errMsg: 'getUserInfo:fail wx.login must be called before' });
  const token = await logIn(wx);
  const given = await ask(wx, 'getUserInfo');
  assert.equal(given.errMsg, 'getUserInfo:ok');
  assert.equal(given.userInfo.nickName, '微信用户');
  const res = await sendProfile(wx, token, given);
  assert.equal(res.statusCode, 200);
  assert.equal(res.data.anonymous, true);
});

test('wx.getUserInfo without credentials needs no login and gives nothing encrypted', async () => {
  const { wx } = takePhone();
  const given = await ask(wx, 'getUserInfo', { withCredentials: false });
  assert.deepEqual(Object.keys(given).sort(), ['errMsg', 'rawData', 'signature', 'userInfo']);
});

test('a release from before 2021 gets the real profile, and the release can change', async () => {
  const user = newUser();
  const { wx, device } = takePhone({ user, release: { anonymous: false } });
  const token = await logIn(wx);
  for (const name of ['getUserInfo', 'getUserProfile']) {
    const given = await ask(wx, name, { desc: 'test' });
    assert.equal(given.userInfo.nickName, user);
    const res = await sendProfile(wx, token, given);
    assert.equal(res.data.userInfo.nickName, user);
  }
  device.release = { anonymous: true };
  assert.equal((await ask(wx, 'getUserProfile', { desc: 'test' })).userInfo.nickName, '微信用户');
  await assert.rejects(ask(wx, 'getUserProfile'), ({ errMsg }) => /^getUserProfile:fail .*desc/.test(errMsg));
});

test('wx.request encodes data as content-type says, JSON by default', async (t) => {
  const { wx } = takePhone();
  const url = await echo(t);
  const send = async (options) => (await ask(wx, 'request', { url: url + '/a?b=1', method: 'POST', ...options })).data;
  const data = { name: '小 明', plus: 'a+b/c==', none: undefined, n: 0 };
  const encoded = 'name=%E5%B0%8F%20%E6%98%8E&plus=a%2Bb%2Fc%3D%3D&none=undefined&n=0';

  const json = await send({ data });
  assert.equal(json.type, 'application/json');
  assert.equal(Buffer.from(json.body, 'latin1').toString(), '{"name":"小 明","plus":"a+b/c==","n":0}');
  assert.equal((await send({ data, header: FORM })).body, encoded);
  assert.equal((await send({ data, header: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' } })).body, encoded);
  assert.equal((await send({ data: 'as it is', header: { 'content-type': 'text/plain', 'X-Own': 'x' } })).own, 'x');
  assert.equal((await send({ data: 'as it is' })).body, 'as it is');
  assert.equal((await send({ data: new Uint8Array([1, 2, 3]).buffer })).body, '\u0001\u0002\u0003');
  assert.equal((await send({})).body, '');
  assert.equal((await send({ method: 'DELETE', data: [1] })).body, '[1]');

  const got = await send({ method: undefined, data });
  assert.deepEqual([got.method, got.url, got.body], ['GET', `/a?b=1&${encoded}`, '']);
  assert.equal((await ask(wx, 'request', { url: url + '/a', data: { b: 1 } })).data.url, '/a?b=1');
  assert.equal((await ask(wx, 'request', { url: url + '/a', data: {} })).data.url, '/a');
});

test('wx.request succeeds with every status, and parses JSON whatever it is called', async (t) => {
  const { wx, device } = takePhone();
  const url = await listen(t, (req, body, res) => {
    const [, status, text] = decodeURIComponent(req.url).split('/');
    res.writeHead(Number(status), { 'Content-Type': 'text/plain', 'Retry-After': '3' });
    res.end(text);
  });
  const get = (path, options) => ask(wx, 'request', { url: `${url}/${encodeURI(path)}`, ...options });
  assert.deepEqual((await get('200/{"a":1}')).data, { a: 1 });
  assert.equal((await get('200/{"a":1}', { dataType: 'text' })).data, '{"a":1}');
  assert.equal((await get('200/<html>')).data, '<html>');
  const { statusCode, header, errMsg } = await get('503/busy');
  assert.deepEqual([statusCode, header['retry-after'], errMsg], [503, '3', 'request:ok']);
  assert.equal((await get('404/')).statusCode, 404);
  assert.equal(device.seen.requests.at(-1), 'GET /404/ 404');
});

test('a request ends at its timeout, or when it is aborted', async (t) => {
  const { wx, device } = takePhone();
  const url = await listen(t, () => {}); // it never answers
  await assert.rejects(ask(wx, 'request', { url, timeout: 1 }), { errMsg: 'request:fail timeout' });
  const aborted = new Promise((success, fail) => { wx.request({ url, success, fail }).abort(); });
  await assert.rejects(aborted, { errMsg: 'request:fail abort' });
  assert.deepEqual(device.seen.requests, []);
});

test('wx.uploadFile sends the file and further fields as a form, and gives the answer as text', async (t) => {
  const { wx, device } = takePhone();
  let form;
  const url = await listen(t, async (req, body, res) => {
    const { headers } = req;
    form = await new Response(body, { headers: { 'content-type': headers['content-type'] } }).formData();
    res.writeHead(req.method === 'POST' && headers['x-own'] === 'x' ? 200 : 400);
    res.end('{"a":1}');
  });
  const { avatarUrl } = await device.chooseAvatar();
  const res = await ask(wx, 'uploadFile', {
    url: url + '/uploadAvatar', filePath: avatarUrl, name: 'file', formData: { more: '小明' },
    header: { 'X-Own': 'x', 'Content-Type': 'application/json' },
  });
  assert.deepEqual([res.statusCode, res.data, res.errMsg], [200, '{"a":1}', 'uploadFile:ok']);
  assert.deepEqual([...form.keys()], ['more', 'file']);
  assert.equal(form.get('more'), '小明');
  const file = form.get('file');
  assert.deepEqual([file.name, file.type], [avatarUrl.split('/').pop(), 'image/jpeg']);
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), Buffer.from(device.fileOf(avatarUrl).bytes));
  assert.deepEqual(device.seen.requests, ['POST /uploadAvatar 200']);
});

test('wx.uploadFile has only this phone\'s files', async () => {
  const { wx } = takePhone();
  const { avatarUrl } = await takePhone().device.chooseAvatar();
  await assert.rejects(ask(wx, 'uploadFile', { url: NOBODY, filePath: avatarUrl, name: 'file' }), {
    errMsg: 'uploadFile:fail file not found',
  });
});

test('a chosen avatar is a new temporary file each time', async () => {
  const { device } = takePhone();
  const first = await device.chooseAvatar();
  const second = await device.chooseAvatar();
  assert.match(first.avatarUrl, /^http:\/\/tmp\/\w+\.jpeg$/);
  assert.notEqual(first.avatarUrl, second.avatarUrl);
  const { bytes, type } = device.fileOf(first.avatarUrl);
  assert.equal(type, 'image/jpeg');
  assert.deepEqual([...bytes.slice(0, 3), ...bytes.slice(-2)], [0xff, 0xd8, 0xff, 0xff, 0xd9]);
  assert.equal(device.fileOf('http://tmp/other.jpeg'), undefined);
});

test('the server takes a chosen avatar', async () => {
  const { wx, device } = takePhone();
  const header = { Authorization: 'Bearer ' + await logIn(wx) };
  const { avatarUrl } = await device.chooseAvatar();
  const res = await ask(wx, 'uploadFile', { url: server + '/uploadAvatar', filePath: avatarUrl, name: 'file', header });
  assert.equal(res.statusCode, 200);
  assert.match(JSON.parse(res.data).userInfo.avatarUrl, /^https?:\/\/.*\/avatars\//);
});

test('the phone button gives a code, or the old way what is encrypted, or a refusal', async () => {
  const { wx, device } = takePhone();
  const header = { Authorization: 'Bearer ' + await logIn(wx) };
  const bind = async ({ errMsg, ...data }) => {
    assert.equal(errMsg, 'getPhoneNumber:ok');
    return (await ask(wx, 'request', { url: server + '/bindPhone', method: 'POST', header, data })).statusCode;
  };
  const [code, old] = [await device.getPhoneNumber(), await device.getPhoneNumber({ old: true })];
  assert.deepEqual([Object.keys(code).sort(), Object.keys(old).sort()], [['code', 'errMsg'], ['encryptedData', 'errMsg', 'iv']]);
  assert.deepEqual([await bind(code), await bind(old)], [200, 200]);
  assert.deepEqual(await device.getPhoneNumber({ deny: true }), { errMsg: 'getPhoneNumber:fail user deny' });
});

test('WeChat may replace the session_key, which makes what was encrypted before useless', async () => {
  const { wx, device } = takePhone();
  await logIn(wx);
  const old = await ask(wx, 'getUserInfo');
  await device.replaceSessionKey();
  const token = await logIn(wx);
  const fresh = await ask(wx, 'getUserInfo');
  assert.ok(old.rawData === fresh.rawData && old.signature !== fresh.signature);
  assert.equal((await sendProfile(wx, token, fresh)).statusCode, 200);
});

test('storage keeps copies, and each phone its own', () => {
  const { wx, device } = takePhone();
  const value = { list: [1] };
  wx.setStorageSync('key', value);
  value.list.push(2);
  wx.getStorageSync('key').list.push(3);
  assert.deepEqual(wx.getStorageSync('key'), { list: [1] });
  assert.equal(takePhone().wx.getStorageSync('key'), '');
  assert.deepEqual([...device.storage.keys()], ['key']);
  wx.removeStorageSync('key');
  assert.equal(wx.getStorageSync('key'), '');
});

test('a phone that brings its storage along was in use before', async () => {
  const storage = new Map([['key', 'kept']]);
  const { wx } = takePhone({ storage });
  assert.equal(wx.getStorageSync('key'), 'kept');
  wx.setStorageSync('other', 1);
  assert.equal(storage.get('other'), 1);
  assert.equal((await ask(wx, 'getUserInfo')).errMsg, 'getUserInfo:ok');
});

test('the mini-program can tell its appid', () => {
  assert.equal(takePhone({ appId: 'wx0' }).wx.getAccountInfoSync().miniProgram.appId, 'wx0');
  assert.equal(takePhone().wx.getAccountInfoSync().miniProgram.appId, '');
});

// A held simulator or server lets a test decide when an answer comes.
function hold() {
  const held = [];
  const fetchHeld = (url, init) => new Promise((resolve, reject) => {
    held.push({ url: String(url), go: () => { fetch(url, init).then(resolve, reject); } });
  });
  const go = (part) => held.splice(held.findIndex(({ url }) => url.includes(part)), 1)[0].go();
  return { fetchHeld, go, urls: () => held.map(({ url }) => new URL(url).pathname) };
}

test('two logins at once do not go unnoticed: two calls of wx.login', async () => {
  const { wx, device: { seen } } = takePhone();
  const both = [ask(wx, 'login'), ask(wx, 'login')];
  assert.deepEqual([seen.logins, seen.loginsNow, seen.loginsMost], [2, 2, 2]);
  await Promise.all(both);
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [0, 2]);
});

test('two logins at once do not go unnoticed: wx.login while another code is under way', async () => {
  const { fetchHeld, go, urls } = hold();
  const { wx, device: { seen } } = takePhone({ fetch: fetchHeld });
  const first = ask(wx, 'login');
  go('/sim/login');
  const { code } = await first;
  assert.equal(seen.loginsNow, 0);
  const sent = ask(wx, 'request', { url: server + '/onLogin', method: 'POST', header: FORM, data: { code } });
  assert.deepEqual(urls(), ['/onLogin']);
  assert.equal(seen.loginsNow, 1);
  const second = ask(wx, 'login');
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [2, 2]);
  go('/onLogin');
  go('/sim/login');
  await Promise.all([sent, second]);
  assert.deepEqual([seen.loginsNow, seen.loginsMost, seen.logins], [0, 2, 2]);
});

test('logins one after the other are never two at once, and other requests are none', async () => {
  const { wx, device: { seen } } = takePhone();
  const token = await logIn(wx);
  await logIn(wx);
  const read = () => ask(wx, 'request', { url: server + '/userInfo', header: { Authorization: 'Bearer ' + token } });
  const requests = [read(), read()];
  assert.equal(seen.loginsNow, 0);
  await Promise.all(requests);
  assert.deepEqual([seen.logins, seen.loginsNow, seen.loginsMost], [2, 0, 1]);
});

test('a login that failed is over', async () => {
  const away = takePhone({ simulator: NOBODY });
  await assert.rejects(ask(away.wx, 'login'));
  assert.deepEqual([away.device.seen.loginsNow, away.device.seen.loginsMost], [0, 1]);

  const { wx, device: { seen } } = takePhone();
  const { code } = await ask(wx, 'login');
  await assert.rejects(ask(wx, 'request', { url: NOBODY + '/onLogin', method: 'POST', data: { code } }));
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [0, 1]);
});

test('the phone remembers its last thousand requests', async () => {
  const { wx, device: { seen } } = takePhone({ fetch: async () => new Response('{}') });
  for (let i = 0; i < 1001; i++) await ask(wx, 'request', { url: `http://a.example/${i}` });
  assert.equal(seen.requests.length, 1000);
  assert.deepEqual([seen.requests[0], seen.requests.at(-1)], ['GET /1 200', 'GET /1000 200']);
});
