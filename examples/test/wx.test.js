// The phone of the tests and of the demo's page: its wx behaves as WeChat's does, and it needs nothing but what browsers have.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');
const vm = require('node:vm');
const { createWx } = require('../phone/wx.js');
const { newUser, server, simulator } = require('./phone.js');

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const NOWHERE = 'http://127.0.0.1:1'; // nothing listens there

/** takePhone returns a phone; ask makes a promise of a call of its wx. */
function takePhone(options = {}) {
  const { wx, device } = createWx({ simulator, user: newUser(), ...options });
  const ask = (name, given = {}) => new Promise((success, fail) => { wx[name]({ ...given, success, fail }); });
  const post = (url, data, more) => ask('request', { url: server + url, method: 'POST', header: FORM, data, ...more });
  return { wx, device, seen: device.seen, ask, post };
}

async function logIn({ ask, post }) {
  const { code } = await ask('login');
  const res = await post('/onLogin', { code });
  assert.equal(res.statusCode, 200);
  return res.data.token;
}

const sendProfile = ({ post }, token, { encryptedData, iv }) => post('/updateUserInfo', { token, encryptedData, iv });

/** listen starts a server that answers with answer(req, body, res), and returns its address. */
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

/** echo starts a server that answers with what it was sent. */
const echo = (t) => listen(t, ({ method, url, headers }, body, res) => {
  res.end(JSON.stringify({ method, url, type: headers['content-type'], own: headers['x-own'], body: body.toString('latin1') }));
});

// --- How calls answer.

test('wx.login gives a code that logs in, once', async () => {
  const { seen, ask, post } = takePhone();
  const { code, errMsg } = await ask('login');
  assert.equal(errMsg, 'login:ok');
  assert.equal((await post('/onLogin', { code })).statusCode, 200);
  assert.equal((await post('/onLogin', { code })).data.code, 'invalid_code');
  assert.equal(seen.logins, 1);
  assert.deepEqual(seen.requests, ['POST /onLogin 200', 'POST /onLogin 400']);
});

test('callbacks come after the call has returned, complete at the end', async () => {
  const { wx } = takePhone();
  const said = [];
  await new Promise((over) => {
    wx.requirePrivacyAuthorize({
      success: () => said.push('success'), fail: () => said.push('fail'), complete: () => { said.push('complete'); over(); },
    });
    said.push('returned');
  });
  assert.deepEqual(said, ['returned', 'success', 'complete']);
});

test('without callbacks a call gives a promise, but a request a task', async (t) => {
  const { wx } = takePhone();
  assert.equal((await wx.login()).errMsg, 'login:ok');
  const task = wx.request({ url: await echo(t) });
  assert.deepEqual([typeof task.abort, task.then], ['function', undefined]);
});

test('a call that fails says so, and what its name is', async () => {
  const { wx, ask } = takePhone({ simulator: NOWHERE });
  const failed = (name) => ({ errMsg }) => errMsg.startsWith(`${name}:fail `);
  await assert.rejects(ask('login'), failed('login'));
  await assert.rejects(wx.login(), failed('login'));
  for (const url of [NOWHERE, 'no url']) await assert.rejects(ask('request', { url }), failed('request'));
  await assert.rejects(takePhone({ appId: 'wx-unknown' }).ask('login'), { errMsg: 'login:fail the simulator answers 400' });
});

// --- The profile, the phone number and the picture.

test('wx.getUserInfo wants a login first, and gives the placeholder of a current release', async () => {
  const phone = takePhone();
  await assert.rejects(phone.ask('getUserInfo'), { errMsg: 'getUserInfo:fail wx.login must be called before' });
  const open = await phone.ask('getUserInfo', { withCredentials: false }); // needs no login, and has nothing encrypted
  assert.deepEqual(Object.keys(open).sort(), ['errMsg', 'rawData', 'signature', 'userInfo']);
  const token = await logIn(phone);
  const given = await phone.ask('getUserInfo');
  assert.deepEqual([given.errMsg, given.userInfo.nickName], ['getUserInfo:ok', '微信用户']);
  const { statusCode, data } = await sendProfile(phone, token, given);
  assert.deepEqual([statusCode, data.anonymous], [200, true]);
});

test('a release from before 2021 gets the real profile, and release and session_key can change', async () => {
  const user = newUser();
  const phone = takePhone({ user, release: { anonymous: false } });
  const token = await logIn(phone);
  const profiles = [];
  for (const name of ['getUserInfo', 'getUserProfile']) {
    const given = await phone.ask(name, { desc: 'test' });
    assert.equal((await sendProfile(phone, token, given)).data.userInfo.nickName, user);
    profiles.push(given);
    await phone.device.replaceSessionKey();
    await logIn(phone);
  }
  assert.ok(profiles.every(({ userInfo }) => userInfo.nickName === user));
  assert.ok(profiles[0].rawData === profiles[1].rawData && profiles[0].signature !== profiles[1].signature);
  phone.device.release = { anonymous: true };
  assert.equal((await phone.ask('getUserProfile', { desc: 'test' })).userInfo.nickName, '微信用户');
  await assert.rejects(phone.ask('getUserProfile'), ({ errMsg }) => /^getUserProfile:fail .*desc/.test(errMsg));
});

test('the phone button gives a code, or the old way what is encrypted, or a refusal', async () => {
  const phone = takePhone();
  await logIn(phone);
  for (const [how, fields] of [[{}, ['code', 'errMsg']], [{ old: true }, ['encryptedData', 'errMsg', 'iv']]]) {
    const detail = await phone.device.getPhoneNumber(how);
    assert.deepEqual([detail.errMsg, Object.keys(detail).sort()], ['getPhoneNumber:ok', fields]);
  }
  assert.deepEqual(await phone.device.getPhoneNumber({ deny: true }), { errMsg: 'getPhoneNumber:fail user deny' });
});

test('a chosen avatar is a new temporary file of this phone each time', async () => {
  const { device } = takePhone();
  const [first, second] = [await device.chooseAvatar(), await device.chooseAvatar()];
  assert.match(first.avatarUrl, /^http:\/\/tmp\/\w+\.jpeg$/);
  assert.notEqual(first.avatarUrl, second.avatarUrl);
  const { bytes, type } = device.fileOf(first.avatarUrl);
  assert.equal(type, 'image/jpeg');
  assert.deepEqual([...bytes.slice(0, 3), ...bytes.slice(-2)], [0xff, 0xd8, 0xff, 0xff, 0xd9]);
  const sent = { url: NOWHERE, filePath: first.avatarUrl, name: 'file' };
  await assert.rejects(takePhone().ask('uploadFile', sent), { errMsg: 'uploadFile:fail file not found' });
});

// --- HTTP.

test('wx.request encodes data as content-type says, JSON by default', async (t) => {
  const { ask } = takePhone();
  const url = await echo(t);
  const send = async (options) => (await ask('request', { url: url + '/a?b=1', method: 'POST', ...options })).data;
  const data = { name: '小 明', plus: 'a+b/c==', none: undefined, n: 0 };
  const encoded = 'name=%E5%B0%8F%20%E6%98%8E&plus=a%2Bb%2Fc%3D%3D&none=undefined&n=0';

  const json = await send({ data });
  assert.equal(json.type, 'application/json');
  assert.equal(Buffer.from(json.body, 'latin1').toString(), '{"name":"小 明","plus":"a+b/c==","n":0}');
  assert.equal((await send({ data: 'as it is', header: { 'content-type': 'text/plain', 'X-Own': 'x' } })).own, 'x');
  for (const [options, body] of [
    [{ data, header: FORM }, encoded],
    [{ data, header: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' } }, encoded],
    [{ data: 'as it is' }, 'as it is'], [{ data: new Uint8Array([1, 2, 3]).buffer }, '\u0001\u0002\u0003'], [{}, ''],
    [{ method: 'DELETE', data: [1] }, '[1]'],
  ]) assert.equal((await send(options)).body, body);

  const got = await send({ method: undefined, data });
  assert.deepEqual([got.method, got.url, got.body], ['GET', `/a?b=1&${encoded}`, '']);
  assert.equal((await send({ method: 'GET', url: url + '/a', data: { b: 1 } })).url, '/a?b=1');
  assert.equal((await send({ method: 'GET', url: url + '/a', data: {} })).url, '/a');
});

test('wx.request succeeds with every status, and parses JSON whatever its content type is', async (t) => {
  const { seen, ask } = takePhone();
  const url = await listen(t, (req, body, res) => {
    const [, status, text] = decodeURIComponent(req.url).split('/');
    res.writeHead(Number(status), { 'Content-Type': 'text/plain', 'Retry-After': '3' });
    res.end(text);
  });
  const get = (file, options) => ask('request', { url: `${url}/${encodeURI(file)}`, ...options });
  assert.deepEqual((await get('200/{"a":1}')).data, { a: 1 });
  assert.equal((await get('200/{"a":1}', { dataType: 'text' })).data, '{"a":1}');
  assert.equal((await get('200/<html>')).data, '<html>');
  const { statusCode, header, errMsg } = await get('503/busy');
  assert.deepEqual([statusCode, header['retry-after'], errMsg], [503, '3', 'request:ok']);
  assert.equal((await get('404/')).statusCode, 404);
  assert.equal(seen.requests.at(-1), 'GET /404/ 404');
});

test('a request ends at its timeout, or when it is aborted', async (t) => {
  const { wx, seen, ask } = takePhone();
  const url = await listen(t, () => {}); // it never answers
  await assert.rejects(ask('request', { url, timeout: 1 }), { errMsg: 'request:fail timeout' });
  const aborted = new Promise((success, fail) => { wx.request({ url, success, fail }).abort(); });
  await assert.rejects(aborted, { errMsg: 'request:fail abort' });
  assert.deepEqual(seen.requests, []);
});

test('wx.uploadFile sends the file and further fields as a form, and gives the answer as text', async (t) => {
  const { device, seen, ask } = takePhone();
  let form;
  const url = await listen(t, async ({ method, headers }, body, res) => {
    form = await new Response(body, { headers: { 'content-type': headers['content-type'] } }).formData();
    res.writeHead(method === 'POST' && headers['x-own'] === 'x' ? 200 : 400);
    res.end('{"a":1}');
  });
  const { avatarUrl } = await device.chooseAvatar();
  const res = await ask('uploadFile', {
    url: url + '/uploadAvatar', filePath: avatarUrl, name: 'file', formData: { more: '小明' },
    header: { 'X-Own': 'x', 'Content-Type': 'application/json' },
  });
  assert.deepEqual([res.statusCode, res.data, res.errMsg], [200, '{"a":1}', 'uploadFile:ok']);
  assert.deepEqual([...form.keys()], ['more', 'file']);
  assert.equal(form.get('more'), '小明');
  const file = form.get('file');
  assert.deepEqual([file.name, file.type], [avatarUrl.split('/').pop(), 'image/jpeg']);
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), Buffer.from(device.fileOf(avatarUrl).bytes));
  assert.deepEqual(seen.requests, ['POST /uploadAvatar 200']);
});

// --- Storage, and what tests can look at.

test('storage keeps copies, and each phone its own, unless it brings one along', async () => {
  const { wx, device } = takePhone();
  const value = { list: [1] };
  wx.setStorageSync('key', value);
  value.list.push(2);
  wx.getStorageSync('key').list.push(3);
  assert.deepEqual(wx.getStorageSync('key'), { list: [1] });
  assert.equal(takePhone().wx.getStorageSync('key'), '');
  assert.deepEqual([...device.storage.keys()], ['key']);
  const used = takePhone({ storage: device.storage });
  assert.deepEqual(used.wx.getStorageSync('key'), { list: [1] });
  assert.equal((await used.ask('getUserInfo')).errMsg, 'getUserInfo:ok'); // such a phone has logged in before
  wx.removeStorageSync('key');
  assert.equal(wx.getStorageSync('key'), '');
});

test('the mini-program knows its appid', () => {
  for (const appId of ['wx0', undefined]) {
    assert.equal(takePhone({ appId }).wx.getAccountInfoSync().miniProgram.appId, appId || '');
  }
});

test('two calls of wx.login at once are seen', async () => {
  const { seen, ask } = takePhone();
  const both = [ask('login'), ask('login')];
  assert.deepEqual([seen.logins, seen.loginsNow, seen.loginsMost], [2, 2, 2]);
  await Promise.all(both);
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [0, 2]);
});

test('a wx.login while another code is under way is seen', async () => {
  const held = [];
  const heldFetch = (url, init) => new Promise((resolve) => { held.push(() => resolve(fetch(url, init))); });
  const { seen, ask, post } = takePhone({ fetch: heldFetch });
  const first = ask('login');
  held.shift()();
  const { code } = await first;
  assert.equal(seen.loginsNow, 0);
  const both = [post('/onLogin', { code })];
  assert.equal(seen.loginsNow, 1);
  both.push(ask('login'));
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [2, 2]);
  for (const go of held) go();
  await Promise.all(both);
  assert.deepEqual([seen.loginsNow, seen.loginsMost, seen.logins], [0, 2, 2]);
});

test('logins one after the other are never two at once, other requests are none, and one that failed is over', async () => {
  const phone = takePhone();
  const { seen, ask } = phone;
  const token = await logIn(phone);
  await logIn(phone);
  const header = { Authorization: 'Bearer ' + token };
  const requests = [1, 2].map(() => ask('request', { url: server + '/userInfo', header }));
  assert.equal(seen.loginsNow, 0);
  await Promise.all(requests);
  const { code } = await ask('login');
  await assert.rejects(ask('request', { url: NOWHERE + '/onLogin', method: 'POST', data: { code } }));
  assert.deepEqual([seen.logins, seen.loginsNow, seen.loginsMost], [3, 0, 1]);
  const away = takePhone({ simulator: NOWHERE });
  await assert.rejects(away.ask('login'));
  assert.deepEqual([away.seen.loginsNow, away.seen.loginsMost], [0, 1]);
});

test('the phone remembers its last thousand requests', async () => {
  const { seen, ask } = takePhone({ fetch: async () => new Response('{}') });
  for (let i = 0; i < 1001; i++) await ask('request', { url: `http://a.example/${i}` });
  assert.equal(seen.requests.length, 1000);
  assert.deepEqual([seen.requests[0], seen.requests.at(-1)], ['GET /1 200', 'GET /1000 200']);
});

// --- Browsers.

// In a context of its own there is no require, process or Buffer, as there is none in a browser.
test('the phone needs nothing but what browsers have', async () => {
  const names = ['AbortController', 'Blob', 'FormData', 'Headers', 'URL', 'URLSearchParams', 'atob', 'clearTimeout', 'fetch',
    'setTimeout', 'structuredClone'];
  const context = vm.createContext(Object.fromEntries(names.map((name) => [name, globalThis[name]])));
  const load = (file) => {
    const module = { exports: {} };
    const text = readFileSync(path.join(__dirname, '../phone', file), 'utf8');
    const wrapped = `(function (require, module, exports) {\n${text}\n})`;
    vm.runInContext(wrapped, context, { filename: file })(load, module, module.exports);
    return module.exports;
  };
  const answer = async (url) => new Response(JSON.stringify(
    String(url).includes('/sim/') ? { code: 'c', avatarUrl: 'http://tmp/a.jpeg', data: '' } : { hello: 'you' }));
  const { wx, device } = load('wx.js').createWx({ simulator: 'https://sim.example', user: 'ann', fetch: answer });
  const { code } = await wx.login();
  const ask = (name, options) => new Promise((success, fail) => {
    wx[name]({ url: 'https://a.example/' + code, ...options, success, fail });
  });
  assert.equal((await ask('request', {})).data.hello, 'you');
  const { avatarUrl } = await device.chooseAvatar();
  assert.equal((await ask('uploadFile', { filePath: avatarUrl, name: 'file' })).data, '{"hello":"you"}');
  wx.setStorageSync('key', [1]);
  assert.equal(wx.getStorageSync('key').length, 1);
  assert.deepEqual([...device.seen.requests], ['GET /c 200', 'POST /c 200']);
});
