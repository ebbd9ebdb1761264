// Calls of wx that never call back, or throw: every promise of the client ends, and the next call begins afresh.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith } = require('./calls.js');
const { createTimers } = require('./clock.js');
const { takePhone, launch } = require('./phone.js');
const { kept, tokenOf, openPhone, works } = require('./session.js');

const USER_INFO = { url: '/userInfo' };
const LONG_ENOUGH = 10 * 60 * 1000; // milliseconds
const NO_ANSWER = { status: 0, code: 'network', action: 'none', retryAfter: 0 };

// take gives a phone with timers of its own, on which nothing is stored yet.
function take(changes) {
  const phone = { ...takePhone(), timers: createTimers() };
  return { ...phone, client: launch(phone, changes) };
}

// open gives a phone with timers of its own, which has logged in.
async function open(changes) {
  const phone = await openPhone();
  const timers = createTimers();
  return { ...phone, timers, client: launch({ ...phone, timers }, changes) };
}

// silence keeps wx[name] from calling back, lists the calls and counts the aborts; restore() ends it.
function silence(wx, name) {
  const original = wx[name];
  const calls = [];
  wx[name] = (options) => {
    const call = { options, aborts: 0 };
    calls.push(call);
    return { abort() { call.aborts++; options.fail({ errMsg: `${name}:fail abort` }); } };
  };
  return { calls, restore() { wx[name] = original; } };
}

// fate notes how a promise ends, so that none is waited for in vain.
function fate(promise) {
  const seen = { pending: true, problem: null, value: undefined };
  const end = (changes) => Object.assign(seen, { pending: false }, changes);
  promise.then((value) => end({ value }), (problem) => end({ problem }));
  return seen;
}

function assertProblem({ pending, problem }, wanted, message) {
  assert.ok(!pending, `${message}: still pending`);
  assert.ok(problem instanceof Error, `${message}: it did not reject`);
  const { status, code, action, retryAfter, detail, requestId } = problem;
  assert.deepEqual({ status, code, action, retryAfter }, wanted, message);
  assert.deepEqual([typeof detail, typeof requestId], ['string', 'string'], message);
}

const CALLS = {
  login: (client) => client.login(),
  'login, silent': (client) => client.login({ silent: true }),
  request: (client) => client.request(USER_INFO),
  updateUserInfo: (client) => client.updateUserInfo(),
  'saveProfile, of a name': (client) => client.saveProfile({ nickName: '小明' }),
  'saveProfile, of a picture': (client) => client.saveProfile({ avatarFile: 'wxfile://tmp_1' }),
  bindPhone: (client) => client.bindPhone({ code: 'a code' }),
  'logout everywhere': (client) => client.logout({ everywhere: true }),
};

for (const [name, begin] of Object.entries(CALLS)) {
  test(`${name}() ends without a wx.login that calls back, and the next one begins afresh`, async () => {
    const { wx, timers, client, seen } = take();
    const { calls, restore } = silence(wx, 'login');
    const first = fate(begin(client));
    const second = fate(begin(client)); // shares it
    await timers.pass(LONG_ENOUGH);
    for (const each of [first, second]) assertProblem(each, NO_ANSWER, name);
    assert.ok(calls.length >= 1 && calls.length <= 2);
    assert.equal(timers.pending, 0);

    restore();
    await client.login();
    assert.equal((await client.request(USER_INFO)).status, 200);
    assert.equal(seen.loginsMost, 1);
    assert.equal(timers.pending, 0);
  });

  test(`${name}() ends without a wx.request that calls back`, async () => {
    const { wx, timers, client } = take();
    const { login } = wx;
    answerWith(wx, 'login', { code: 'a code' });
    const requests = silence(wx, 'request');
    const call = fate(begin(client));
    await timers.pass(LONG_ENOUGH);
    assertProblem(call, NO_ANSWER, name);
    assert.equal(requests.calls[0].aborts, 1);
    assert.equal(timers.pending, 0);
    wx.login = login;
    requests.restore();
    await client.login();
    assert.equal((await client.request(USER_INFO)).status, 200);
  });
}

for (const [name, api, begin] of [
  ['login', 'request', CALLS.login], ['request', 'request', CALLS.request], ['logout', 'request', (client) => client.logout()],
  ['logout everywhere', 'request', CALLS['logout everywhere']], ['updateUserInfo', 'getUserInfo', CALLS.updateUserInfo],
  ['updateUserInfo', 'request', CALLS.updateUserInfo], ['bindPhone', 'request', CALLS.bindPhone],
  ['saveProfile', 'uploadFile', CALLS['saveProfile, of a picture']], ['saveProfile', 'request', CALLS['saveProfile, of a name']],
]) {
  test(`with a token, ${name}() ends without a wx.${api} that calls back`, async () => {
    const { wx, timers, client, token } = await open();
    answerWith(wx, 'getUserInfo', { encryptedData: 'a', iv: 'b' });
    const { calls } = silence(wx, api);
    const call = fate(begin(client));
    await timers.pass(LONG_ENOUGH);
    assertProblem(call, NO_ANSWER, name);
    assert.equal(calls.length, 1, 'a call without an answer is not repeated');
    assert.equal(calls[0].aborts, 1);
    assert.equal(timers.pending, 0);
    if (!name.startsWith('logout')) assert.ok(await works(token), 'silence ends no session');
  });
}

test('a logout ends while a silent login is under way, and stays one', async () => {
  const phone = take();
  const { wx, timers, client } = phone;
  const { restore } = silence(wx, 'login');
  const login = fate(client.login({ silent: true }));
  const logout = fate(client.logout());
  await timers.pass(LONG_ENOUGH);
  assertProblem(login, NO_ANSWER, 'login');
  assert.deepEqual([logout.pending, logout.problem], [false, null]);
  restore();
  await assert.rejects(client.login({ silent: true }), { code: 'logged_out' });
  assert.deepEqual([kept(phone).loggedOut, phone.seen.requests], [true, []]);
  await client.login();
  assert.ok(await works(tokenOf(phone)));
});

test('requests that keep coming do not keep a logout from ending', async () => {
  const { wx, timers, client } = take();
  silence(wx, 'login');
  const first = fate(client.request(USER_INFO));
  const logout = fate(client.logout());
  const more = [];
  for (let i = 0; i < 20 && logout.pending; i++) {
    more.push(fate(client.request(USER_INFO)));
    await timers.passNext();
  }
  assert.ok(!logout.pending && logout.problem === null);
  assert.ok([first, ...more].every(({ pending }) => !pending));
  await assert.rejects(client.request(USER_INFO), { code: 'logged_out' });
});

test('a login that comes late is dropped, and nothing is sent for it', async () => {
  const phone = take();
  const { wx, timers, client, seen } = phone;
  const { calls, restore } = silence(wx, 'login');
  const login = fate(client.login());
  await timers.pass(LONG_ENOUGH);
  restore();
  assertProblem(login, NO_ANSWER, 'login');
  calls[0].options.success({ code: 'a late code' });
  calls[0].options.fail({ errMsg: 'login:fail' });
  await new Promise(setImmediate);
  assert.deepEqual([seen.requests, kept(phone)], [[], undefined]);
});

test('an answer that comes late changes nothing', async () => {
  const phone = take();
  const { wx, timers, client } = phone;
  answerWith(wx, 'login', { code: 'c' });
  const { calls } = silence(wx, 'request');
  const login = fate(client.login());
  await timers.pass(LONG_ENOUGH);
  assertProblem(login, NO_ANSWER, 'login');
  const [{ options }] = calls;
  options.success({ statusCode: 200, data: { status: 200, token: 'T'.repeat(43), expiresIn: 3600, userInfo: {} } });
  await new Promise(setImmediate);
  assert.equal(kept(phone), undefined);
});

test('a task that cannot be aborted does no harm', async () => {
  for (const task of [undefined, null, 7, {}, { abort: 1 }, { abort() { throw new Error('abort:fail'); } }]) {
    const { wx, timers, client } = await open();
    wx.request = () => task;
    const request = fate(client.request(USER_INFO));
    await timers.pass(LONG_ENOUGH);
    assertProblem(request, NO_ANSWER, String(task));
  }
});

// --- The bounds.

async function boundOf(timers, promise) {
  const call = fate(promise);
  await timers.pass(0);
  const passed = await timers.passNext();
  assertProblem(call, NO_ANSWER, 'at the first timer');
  return passed;
}

test('WeChat gets a timeout where it takes one, and a little more', async () => {
  const { wx, timers, client } = take();
  const logins = silence(wx, 'login');
  assert.equal(await boundOf(timers, client.login()), 12000);
  assert.equal(logins.calls[0].options.timeout, 10000);

  const phone = await open();
  const requests = silence(phone.wx, 'request');
  const uploads = silence(phone.wx, 'uploadFile');
  const dialogs = silence(phone.wx, 'getUserInfo');
  assert.equal(await boundOf(phone.timers, phone.client.request(USER_INFO)), 32000);
  assert.equal(await boundOf(phone.timers, phone.client.saveProfile({ nickName: '小明' })), 32000);
  assert.equal(await boundOf(phone.timers, phone.client.saveProfile({ avatarFile: 'wxfile://a' })), 32000);
  assert.equal(await boundOf(phone.timers, phone.client.updateUserInfo()), 120000);
  for (const { options } of [...requests.calls, ...uploads.calls]) assert.equal(options.timeout, 30000);
  assert.ok(!('timeout' in dialogs.calls[0].options));
});

test('the bounds are setup\'s to say, in seconds', async () => {
  const changes = { loginTimeout: 3, requestTimeout: 4, dialogTimeout: 5 };
  const { wx, timers, client } = take(changes);
  silence(wx, 'login');
  assert.equal(await boundOf(timers, client.login()), 5000);
  const phone = await open(changes);
  for (const name of ['request', 'uploadFile', 'getUserInfo']) silence(phone.wx, name);
  assert.equal(await boundOf(phone.timers, phone.client.request(USER_INFO)), 6000);
  assert.equal(await boundOf(phone.timers, phone.client.saveProfile({ avatarFile: 'wxfile://a' })), 6000);
  assert.equal(await boundOf(phone.timers, phone.client.updateUserInfo()), 5000);
});

test('a timeout of the caller\'s own is respected, be it short or long', async () => {
  for (const timeout of [1, 5000, 300000]) {
    const { wx, timers, client } = await open();
    const { calls } = silence(wx, 'request');
    assert.equal(await boundOf(timers, client.request({ ...USER_INFO, timeout })), timeout + 2000);
    assert.equal(calls[0].options.timeout, timeout);
  }
});

test('a timeout that is none is not passed on', async () => {
  for (const timeout of [0, -1, NaN, null, undefined, '5000', {}]) {
    const { wx, timers, client } = await open();
    const { calls } = silence(wx, 'request');
    assert.equal(await boundOf(timers, client.request({ ...USER_INFO, timeout })), 32000, String(timeout));
    assert.equal(calls[0].options.timeout, 30000);
  }
});

test('a bound is never more than a timer can wait', async () => {
  const { wx, timers, client } = await open({ dialogTimeout: 1e9 });
  silence(wx, 'getUserInfo');
  silence(wx, 'request');
  for (const timeout of [2 ** 31, 1e15, Infinity]) {
    const passed = await boundOf(timers, client.request({ ...USER_INFO, timeout }));
    assert.ok(passed > 1e9 && passed < 2 ** 31, String(passed));
  }
  assert.ok(await boundOf(timers, client.updateUserInfo()) < 2 ** 31);
});

test('options of another type change nothing', async () => {
  const odd = [undefined, null, NaN, -1, '5', {}, [], true];
  for (const value of odd) {
    const changes = { loginTimeout: value, requestTimeout: value, dialogTimeout: value, maxWait: value };
    const { wx, timers, client } = take(changes);
    silence(wx, 'login');
    assert.equal(await boundOf(timers, client.login()), 12000, String(value));
    client.setup({ server: value === '5' ? undefined : value, services: Array.isArray(value) ? null : value, wait: value });
  }
  const { client } = take();
  client.setup(undefined);
  client.setup(/** @type {any} */ (null));
  client.setup({ server: undefined, services: [undefined, null, 7, {}] });
  assert.equal((await client.request(USER_INFO)).status, 200);
});

test('no timer is left when a call has ended, well or not', async () => {
  const phone = take();
  const { wx, timers, client, device } = phone;
  await client.login();
  await client.updateUserInfo();
  await client.saveProfile({ nickName: '小明', avatarFile: (await device.chooseAvatar()).avatarUrl });
  await client.bindPhone(await device.getPhoneNumber());
  await assert.rejects(client.request({ url: '/nowhere' }), { code: 'not_found' });
  await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://gone' }));
  wx.request = ({ fail }) => fail({ errMsg: 'request:fail' });
  await assert.rejects(client.login(), NO_ANSWER);
  await assert.rejects(client.logout(), NO_ANSWER);
  assert.equal(timers.pending, 0);
});

// --- Calls that throw, or are not there.

const APIS = { login: CALLS.login, request: CALLS.request, uploadFile: CALLS['saveProfile, of a picture'],
  getUserInfo: CALLS.updateUserInfo };

for (const [name, begin] of Object.entries(APIS)) {
  const prepare = () => (name === 'login' ? take() : open());

  test(`a wx.${name} that throws is a Problem`, async () => {
    for (const thrown of [new Error(`${name}:fail parameter error`), 'a text', { errMsg: `${name}:fail` }, null, undefined]) {
      const { wx, timers, client } = await prepare();
      const original = wx[name];
      wx[name] = () => { throw thrown; };
      const call = fate(begin(client));
      await timers.pass(0);
      assertProblem(call, NO_ANSWER, String(thrown));
      assert.equal(timers.pending, 0);
      wx[name] = original;
      await client.login();
    }
  });

  test(`a WeChat without wx.${name} is a Problem`, async () => {
    for (const missing of [undefined, null, {}]) {
      const { wx, timers, client } = await prepare();
      wx[name] = missing;
      const call = fate(begin(client));
      await timers.pass(0);
      assertProblem(call, { status: 0, code: 'unsupported', action: 'none', retryAfter: 0 }, String(missing));
      assert.equal(timers.pending, 0);
    }
  });

  test(`a wx.${name} that succeeds with nothing is a Problem`, async () => {
    for (const nothing of [undefined, null, 'ok', 7]) {
      const { wx, timers, client } = await prepare();
      answerWith(wx, name, nothing);
      await assert.rejects(begin(client), ({ code, action }) => typeof code === 'string' && action === 'none');
      assert.equal(timers.pending, 0);
    }
  });
}

test('a call that both fails and succeeds, or does so twice, counts once', async () => {
  const { wx, client } = await open();
  wx.request = ({ success, fail }) => {
    fail({ errMsg: 'request:fail' });
    success({ statusCode: 200, data: {} });
    fail({ errMsg: 'request:fail' });
  };
  await assert.rejects(client.request(USER_INFO), NO_ANSWER);
});
