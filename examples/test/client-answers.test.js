// Answers that are not the server's, and what a Problem tells and does not tell.

const assert = require('node:assert/strict');
const test = require('node:test');
const { inspect } = require('node:util');
const { answerWith, watch } = require('./calls.js');
const { startFront } = require('./front.js');
const { server, takePhone, launch, answering } = require('./phone.js');
const { UNKNOWN_TOKEN, kept, tokenOf } = require('./session.js');

const HTML = '<html><title>Welcome to our hotel</title></html>';
const NOT_OURS = { code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 };

const CALLS = {
  login: (client) => client.login(),
  updateUserInfo: (client) => client.updateUserInfo(),
  'saveProfile, of a name': (client) => client.saveProfile({ nickName: '小明' }),
  'saveProfile, of a picture': async (client, { device }) => (
    client.saveProfile({ avatarFile: (await device.chooseAvatar()).avatarUrl })),
  bindPhone: async (client, { device }) => client.bindPhone(await device.getPhoneNumber()),
  logout: (client) => client.logout(),
  'logout everywhere': (client) => client.logout({ everywhere: true }),
};

const STRANGE = {
  'a hotel\'s page with status 200': [200, HTML, 'text/html'],
  'a proxy\'s page with status 502': [502, '<html>Bad Gateway</html>', 'text/html'],
  'nothing at all': [200, ''],
  'JSON without a status': [200, JSON.stringify({ token: UNKNOWN_TOKEN, expiresIn: 3600 })],
  'JSON with another status': [200, JSON.stringify({ status: 201, token: UNKNOWN_TOKEN })],
  'JSON with a status that is a text': [200, JSON.stringify({ status: '200', token: UNKNOWN_TOKEN })],
  'null': [200, 'null'],
  'a number': [200, '200'],
  'a list': [200, '[200]'],
  'a failure in its body alone': [500, '[]'],
};

for (const [name, [status, body, type = 'application/json']] of Object.entries(STRANGE)) {
  test(`a login that is answered with ${name} is a failure, and keeps nothing`, async (t) => {
    const phone = takePhone();
    const client = launch(phone, { server: await answering(t, [status, body, { 'content-type': type }]) });
    await assert.rejects(client.login(), { ...NOT_OURS, status });
    assert.deepEqual(phone.seen.requests, [`POST /onLogin ${status}`]);
    assert.equal(kept(phone), undefined);
  });

  for (const [call, begin] of Object.entries(CALLS)) {
    test(`${call} answered with ${name} is a failure`, async (t) => {
      const phone = takePhone();
      await launch(phone).login();
      const token = tokenOf(phone);
      const strange = await answering(t, [status, body, { 'content-type': type }]);
      phone.device.storage.set('wxlogin', { ...kept(phone), server: strange });
      const client = launch(phone, { server: strange });
      await assert.rejects(begin(client, phone), { ...NOT_OURS, status });
      assert.equal(phone.seen.requests.length, 2);
      assert.equal(phone.seen.logins, 1);
      assert.ok(tokenOf(phone) === (call.startsWith('logout') ? '' : token));
    });
  }
}

test('somebody who says 401 to logins, and nothing of tokens, is asked once', async (t) => {
  const phone = takePhone();
  const client = launch(phone, { server: await answering(t, [401, 'Unauthorized']) });
  await assert.rejects(client.login(), { status: 401, code: 'unknown', action: 'none' });
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 401']);
  assert.equal(phone.seen.logins, 1);
});

test('advice that nobody knows is handed on', async (t) => {
  for (const action of ['dance', 'constructor', '__proto__']) {
    const phone = takePhone();
    const client = launch(phone, { server: await answering(t, [503, { code: 'new', action }]) });
    await assert.rejects(client.login(), { status: 503, code: 'new', action, retryAfter: 0 });
    assert.deepEqual([phone.seen.logins, client.waits.length], [1, 0]);
  }
});

test('a server that nobody has there is code network, for every call', async () => {
  const nobody = { status: 0, code: 'network', action: 'none', retryAfter: 0 };
  for (const [call, begin] of Object.entries(CALLS)) {
    const phone = takePhone();
    await launch(phone).login();
    phone.device.storage.set('wxlogin', { ...kept(phone), server: 'http://127.0.0.1:1' });
    const client = launch(phone, { server: 'http://127.0.0.1:1' });
    await assert.rejects(begin(client, phone), nobody, call);
    assert.deepEqual([phone.seen.logins, client.waits.length], [1, 0]);
  }
});

test('a call that fails without a word is code network', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  phone.wx.request = ({ fail }) => fail({});
  await assert.rejects(client.request({ url: '/userInfo' }), { status: 0, code: 'network', detail: '' });
});

test('a Problem has all that the server said', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const problem = await client.request({ url: '/nowhere' }).then(assert.fail, (err) => err);
  assert.ok(problem instanceof Error);
  assert.deepEqual([problem.status, problem.code, problem.action, problem.retryAfter], [404, 'not_found', 'none', 0]);
  assert.equal(problem.message, 'wxlogin: not_found');
  assert.match(problem.requestId, /^[0-9a-f]{32}$/);
  assert.match(problem.detail, /^[A-Z].*\.$/);
});

// Everything of a problem that a program may print or report.
function whole(problem) {
  return [problem.stack, inspect(problem, { depth: 9, showHidden: true }), JSON.stringify(problem)].join('\n');
}

test('no Problem tells a token, a code or a phone number', async (t) => {
  const front = await startFront(t, server);
  const phone = takePhone();
  const client = launch(phone, { server: front.url });
  const codes = [];
  const { login } = phone.wx;
  phone.wx.login = (options) => login({
    ...options, success: (res) => { codes.push(res.code); options.success(res); },
  });
  const problems = [];
  const fails = (promise) => promise.then(assert.fail, (problem) => problems.push(problem));

  front.answers.set('POST /onLogin', [503, { code: 'wechat_unavailable', action: 'retry' }]);
  await fails(client.login());
  front.answers.set('POST /onLogin', [400, { code: 'invalid_code', action: 'relogin' }]);
  await fails(launch(phone, { server: front.url }).login());
  front.answers.clear();
  const second = launch(phone, { server: front.url });
  await second.login();
  const token = tokenOf(phone);
  const detail = await phone.device.getPhoneNumber();
  await second.bindPhone(detail);
  await fails(second.bindPhone(detail));
  await fails(second.request({ url: '/nowhere', method: 'POST', data: detail }));
  await fails(second.request({ url: 'https://api.example.com/?token=' + token }));
  front.away = true;
  await fails(second.request({ url: '/userInfo' }));
  await fails(second.saveProfile({ nickName: '小明' }));
  await fails(second.logout());
  await fails(second.request({ url: '/userInfo' }));

  assert.equal(problems.length, 9);
  assert.ok(codes.length >= 4);
  for (const problem of problems) {
    for (const secret of [token, detail.code, ...codes]) assert.ok(!whole(problem).includes(secret), problem.code);
  }
});

test('wx gets callbacks and no promise to forget', async () => {
  const phone = takePhone();
  const logins = watch(phone.wx, 'login');
  const requests = watch(phone.wx, 'request');
  await launch(phone).login();
  for (const { success, fail } of [...logins, ...requests]) {
    assert.deepEqual([typeof success, typeof fail], ['function', 'function']);
  }
  assert.deepEqual([logins.length, requests.length], [1, 1]);
});

test('a phone that answers uploads with an object or a text is understood', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  const profile = { userInfo: { nickName: '小明' }, profileComplete: true, phoneNumber: '' };
  for (const data of [{ status: 200, ...profile }, JSON.stringify({ status: 200, ...profile })]) {
    answerWith(phone.wx, 'uploadFile', { statusCode: 200, data });
    assert.deepEqual(await client.saveProfile({ avatarFile: 'wxfile://tmp_1' }), profile);
  }
});
