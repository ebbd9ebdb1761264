// The phone of the tests and of the demo's page: its wx behaves as WeChat's does. What the tests of the client see of it anyway is
// not repeated here; that it needs nothing but what browsers have is seen in test/browser.

const assert = require('node:assert/strict');
const http = require('node:http');
const test = require('node:test');
const { createWx } = require('../phone/wx.js');
const { server, simulator } = require('./phone.js');

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const NOWHERE = 'http://127.0.0.1:1'; // nothing listens there

/** takePhone returns a phone; ask makes a promise of a call of its wx. */
function takePhone(options) {
  const { wx, device } = createWx({ simulator, user: 'ann', ...options });
  const ask = (name, given = {}) => new Promise((success, fail) => { wx[name]({ ...given, success, fail }); });
  return { wx, device, seen: device.seen, ask };
}

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

test('callbacks come after the call has returned, and a call that fails says its name', async () => {
  const { wx, ask } = takePhone();
  const said = [];
  await new Promise((over) => {
    wx.requirePrivacyAuthorize({ success: (res) => over(said.push(res.errMsg)) });
    said.push('returned');
  });
  assert.deepEqual(said, ['returned', 'requirePrivacyAuthorize:ok']);
  await assert.rejects(takePhone({ appId: 'wx-unknown' }).ask('login'), { errMsg: 'login:fail the simulator answers 400' });
  for (const url of [NOWHERE, 'no url']) await assert.rejects(ask('request', { url }), { errMsg: /^request:fail ./ });
});

test('wx.getUserInfo wants a login first', async () => {
  const { ask, device } = takePhone();
  await assert.rejects(ask('getUserInfo'), { errMsg: 'getUserInfo:fail wx.login must be called before' });
  const used = takePhone({ storage: device.storage }); // such a phone has logged in before
  assert.equal((await used.ask('getUserInfo')).errMsg, 'getUserInfo:ok');
});

test('wx.request encodes data as content-type says, JSON by default', async (t) => {
  const { ask } = takePhone();
  const url = await listen(t, ({ method, headers }, body, res) => {
    res.end(JSON.stringify([method, headers['content-type'], headers['x-own'], body.toString()]));
  });
  const data = { name: '小 明', plus: 'a+b/c==', none: undefined, n: 0 };
  const json = 'application/json';
  const form = 'application/x-www-form-urlencoded; charset=utf-8';
  const encoded = 'name=%E5%B0%8F%20%E6%98%8E&plus=a%2Bb%2Fc%3D%3D&none=undefined&n=0';
  for (const [given, wanted] of [
    [{ method: 'POST', data }, ['POST', json, null, '{"name":"小 明","plus":"a+b/c==","n":0}']],
    [{ method: 'POST', data, header: { ...FORM, 'X-Own': 'x' } }, ['POST', FORM['content-type'], 'x', encoded]],
    [{ method: 'POST', data, header: { 'Content-Type': form } }, ['POST', form, null, encoded]],
    [{}, ['GET', json, null, '']],
  ]) assert.deepEqual((await ask('request', { url, ...given })).data, wanted);
});

test('wx.request succeeds with every status, and parses JSON whatever its content type is', async (t) => {
  const { ask } = takePhone();
  const url = await listen(t, (req, body, res) => {
    const [, status, text] = decodeURIComponent(req.url).split('/');
    res.writeHead(Number(status), { 'Content-Type': 'text/plain', 'Retry-After': '3' });
    res.end(text);
  });
  for (const [status, text, data, options] of [
    [200, '{"a":1}', { a: 1 }], [200, '{"a":1}', '{"a":1}', { dataType: 'text' }], [200, '<html>', '<html>'], [503, 'busy', 'busy'],
  ]) {
    const { header, ...res } = await ask('request', { url: `${url}/${status}/${encodeURI(text)}`, ...options });
    assert.deepEqual([res, header['retry-after']], [{ statusCode: status, data, errMsg: 'request:ok' }, '3']);
  }
});

test('a request ends at its timeout, or when it is aborted', async (t) => {
  const { wx, seen, ask } = takePhone();
  const url = await listen(t, () => {}); // it never answers
  await assert.rejects(ask('request', { url, timeout: 1 }), { errMsg: 'request:fail timeout' });
  const aborted = new Promise((success, fail) => { wx.request({ url, success, fail }).abort(); });
  await assert.rejects(aborted, { errMsg: 'request:fail abort' });
  assert.deepEqual(seen.requests, []);
});

test('wx.uploadFile sends the file as a form, and gives the answer as text', async (t) => {
  const { device, seen, ask } = takePhone();
  let form;
  const url = await listen(t, async ({ method, headers }, body, res) => {
    form = await new Response(body, { headers: { 'content-type': headers['content-type'] } }).formData();
    res.writeHead(method === 'POST' && headers['x-own'] === 'x' ? 200 : 400);
    res.end('{"a":1}');
  });
  const [{ avatarUrl }, another] = [await device.chooseAvatar(), await device.chooseAvatar()];
  assert.match(avatarUrl, /^http:\/\/tmp\/\w+\.jpeg$/);
  assert.notEqual(avatarUrl, another.avatarUrl);
  const res = await ask('uploadFile', {
    url: url + '/uploadAvatar', filePath: avatarUrl, name: 'file', formData: { a: 'b' }, header: { 'X-Own': 'x' },
  });
  assert.deepEqual([res.statusCode, res.data, res.errMsg], [200, '{"a":1}', 'uploadFile:ok']);
  assert.deepEqual([[...form.keys()], form.get('a')], [['a', 'file'], 'b']);
  const file = form.get('file');
  assert.deepEqual([file.name, file.type], [avatarUrl.split('/').pop(), 'image/jpeg']);
  const bytes = Buffer.from(await file.arrayBuffer());
  assert.deepEqual(bytes, Buffer.from(device.fileOf(avatarUrl).bytes));
  assert.deepEqual([...bytes.subarray(0, 3), ...bytes.subarray(-2)], [0xff, 0xd8, 0xff, 0xff, 0xd9]);
  assert.deepEqual(seen.requests, ['POST /uploadAvatar 200']);
});

test('wx.downloadFile keeps the body of every status as a file', async (t) => {
  const { device, seen, ask } = takePhone();
  const url = await listen(t, ({ headers }, body, res) => {
    res.writeHead(headers['x-own'] ? 200 : 404, { 'Content-Type': 'image/png' });
    res.end(Buffer.from([0, 255]));
  });
  const saved = await ask('downloadFile', { url, header: { 'X-Own': 'x' }, filePath: 'wxfile://usr/a.png' });
  assert.deepEqual(saved, { statusCode: 200, filePath: 'wxfile://usr/a.png', errMsg: 'downloadFile:ok' });
  const { statusCode, tempFilePath } = await ask('downloadFile', { url });
  for (const file of [saved.filePath, tempFilePath]) {
    assert.deepEqual(device.fileOf(file), { bytes: Uint8Array.of(0, 255), type: 'image/png' });
  }
  assert.deepEqual([statusCode, seen.requests], [404, ['GET / 200', 'GET / 404']]);
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
});

test('logins are seen, and whether two are under way at once: a wx.login, or a request with its code', async () => {
  const held = [];
  const heldFetch = (url, init) => new Promise((resolve, reject) => { held.push(() => fetch(url, init).then(resolve, reject)); });
  const { seen, ask } = takePhone({ fetch: heldFetch });
  const request = (url, data) => ask('request', { url, method: 'POST', header: FORM, data });
  const run = (...calls) => {
    for (const go of held.splice(0)) go();
    return Promise.all(calls);
  };
  const [{ code }] = await run(ask('login'));
  const other = request(server + '/onLogin', {});
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [0, 1]); // neither one that is over, nor a request without a code
  await run(other);
  const away = request(NOWHERE, { code });
  assert.equal(seen.loginsNow, 1);
  await assert.rejects(run(away));
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [0, 1]);
  const both = [request(server + '/onLogin', { code }), ask('login')];
  assert.deepEqual([seen.loginsNow, seen.loginsMost], [2, 2]);
  await run(...both);
  assert.deepEqual({ ...seen }, { logins: 2, loginsNow: 0, loginsMost: 2, requests: ['POST /onLogin 400', 'POST /onLogin 200'] });
});
