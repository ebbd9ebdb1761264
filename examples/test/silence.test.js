// Calls of wx that never call back, or throw: every promise of the client ends, and the next call starts afresh.

const assert = require('node:assert/strict');
const test = require('node:test');
const { createTimers } = require('./clock.js');
const { launch, answerWith } = require('./phone.js');
const {
  USER_INFO, logIn, logInSilently, ask, logOut, logOutEverywhere, failing, newPhone, openPhone, check, kept, works,
} = require('./session.js');

const LONG_ENOUGH = 10 * 60 * 1000; // milliseconds
const NO_ANSWER = { status: 0, code: 'network', action: 'none', retryAfter: 0 };

const withTimers = (phone, changes) => {
  const timers = createTimers();
  return { ...phone, timers, client: launch({ ...phone, timers }, changes) };
};

/** fresh and open are new phones with timers of their own; open has logged in. */
const fresh = (changes) => withTimers(newPhone(), changes);
const open = async (changes) => withTimers(await openPhone(), changes);

/** silence keeps wx[name] from calling back, lists the calls and counts the aborts; restore() ends it. */
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

/** fate records how a promise ends, so that a test need not wait for it. */
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

/** assertSilent waits until a promise has ended without an answer, and left no timer. */
async function assertSilent(timers, promise, message) {
  const call = fate(promise);
  await timers.pass(LONG_ENOUGH);
  assertProblem(call, NO_ANSWER, message);
  assert.equal(timers.pending, 0);
}

const CALLS = {
  login: logIn,
  'login, silent': logInSilently,
  request: ask,
  updateUserInfo: ({ client }) => client.updateUserInfo(),
  'saveProfile, of a name': ({ client }) => client.saveProfile({ nickName: '小明' }),
  'saveProfile, of a picture': ({ client }) => client.saveProfile({ avatarFile: 'wxfile://tmp_1' }),
  bindPhone: ({ client }) => client.bindPhone({ code: 'a code' }),
  logout: logOut,
  'logout everywhere': logOutEverywhere,
};
const TOKENLESS = Object.keys(CALLS).filter((name) => name !== 'logout');

for (const [state, take, api, names] of [
  ['without a token', fresh, 'login', TOKENLESS],
  ['without a token', fresh, 'request', TOKENLESS],
  ['with a token', open, 'request', Object.keys(CALLS).filter((name) => name !== 'saveProfile, of a picture')],
  ['with a token', open, 'uploadFile', ['saveProfile, of a picture']],
  ['with a token', open, 'getUserInfo', ['updateUserInfo']],
]) {
  for (const name of names) {
    check(`${state}, ${name} ends without a wx.${api} that calls back, and the next call starts afresh`, take, async (phone) => {
      const { wx, timers, token } = phone;
      const { login } = wx;
      if (take === fresh) answerWith(wx, 'login', { code: 'a code' });
      if (api === 'request') answerWith(wx, 'getUserInfo', { encryptedData: 'a', iv: 'b' });
      const { calls, restore } = silence(wx, api);
      const second = api === 'login' ? fate(CALLS[name](phone)) : null; // it shares the first one's login
      await assertSilent(timers, CALLS[name](phone), name);
      if (second) assertProblem(second, NO_ANSWER, name);
      assert.ok(calls.length === 1 || (second && calls.length === 2), 'a call without an answer is not repeated');
      assert.equal(calls[0].aborts, 1);
      if (token && !name.startsWith('logout')) assert.ok(await works(token), 'silence ends no session');
      restore();
      wx.login = login;
      await logIn(phone);
      assert.equal((await ask(phone)).status, 200);
      assert.equal(timers.pending, 0);
    });
  }
}

check('a logout ends while a silent login is under way, and stays one', fresh, async (phone) => {
  const { restore } = silence(phone.wx, 'login');
  const login = logInSilently(phone);
  const logout = fate(logOut(phone));
  await assertSilent(phone.timers, login, 'login');
  assert.deepEqual([logout.pending, logout.problem], [false, null]);
  restore();
  await failing(logInSilently, { code: 'logged_out' })(phone);
  assert.deepEqual([kept(phone).loggedOut, phone.seen.requests], [true, []]);
  await logIn(phone);
}, { token: 'new' });

check('requests that keep coming do not keep a logout from ending', fresh, async (phone) => {
  silence(phone.wx, 'login');
  const requests = [fate(ask(phone))];
  const logout = fate(logOut(phone));
  for (let i = 0; i < 20 && logout.pending; i++) {
    requests.push(fate(ask(phone)));
    await phone.timers.passNext();
  }
  assert.ok(!logout.pending && logout.problem === null);
  assert.ok(requests.every(({ pending }) => !pending));
  await ask(phone);
}, { fails: { code: 'logged_out' } });

const LATE = { statusCode: 200, data: { status: 200, token: 'T'.repeat(43), expiresIn: 3600, userInfo: {} } };

for (const [api, late] of [['login', { code: 'a late code' }], ['request', LATE]]) {
  check(`a wx.${api} that answers late changes nothing, and nothing is sent for it`, fresh, async (phone) => {
    answerWith(phone.wx, 'login', { code: 'c' });
    const { calls, restore } = silence(phone.wx, api);
    await assertSilent(phone.timers, logIn(phone), 'login');
    restore();
    calls[0].options.success(late);
    calls[0].options.fail({ errMsg: 'fail' });
    await new Promise(setImmediate);
    assert.deepEqual([calls.length, kept(phone)], [1, undefined]);
  }, { requests: [] });
}

test('a task that cannot be aborted does no harm', async () => {
  for (const task of [undefined, null, 7, {}, { abort: 1 }, { abort() { throw new Error('abort:fail'); } }]) {
    const { wx, timers, client } = await open();
    wx.request = () => task;
    await assertSilent(timers, ask({ client }), String(task));
  }
});

check('no timer is left when a call has ended, well or not', fresh, async ({ wx, timers, client, device }) => {
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

// --- The bounds, in milliseconds.

/** boundOf is the time after which a call ends without an answer. */
async function boundOf(timers, promise) {
  const call = fate(promise);
  await timers.pass(0);
  const passed = await timers.passNext();
  assertProblem(call, NO_ANSWER, 'at the first timer');
  return passed;
}

for (const [name, changes, login, request, dialog] of [
  ['WeChat gets a timeout if the call takes one, and a little more time', {}, 10000, 30000, 120000],
  ['setup sets the bounds, in seconds', { loginTimeout: 3, requestTimeout: 4, dialogTimeout: 5 }, 3000, 4000, 5000],
]) {
  test(name, async () => {
    const { wx, timers, client } = fresh(changes);
    const { calls } = silence(wx, 'login');
    assert.equal(await boundOf(timers, client.login()), login + 2000);
    assert.equal(calls[0].options.timeout, login);

    const phone = await open(changes);
    const [requests, uploads, dialogs] = ['request', 'uploadFile', 'getUserInfo'].map((api) => silence(phone.wx, api));
    for (const name of ['request', 'saveProfile, of a name', 'saveProfile, of a picture']) {
      assert.equal(await boundOf(phone.timers, CALLS[name](phone)), request + 2000);
    }
    assert.equal(await boundOf(phone.timers, phone.client.updateUserInfo()), dialog);
    for (const { options } of [...requests.calls, ...uploads.calls]) assert.equal(options.timeout, request);
    assert.ok(!('timeout' in dialogs.calls[0].options));
  });
}

test('a timeout of the caller\'s own counts, if it is one', async () => {
  for (const timeout of [1, 5000, 300000, 0, -1, NaN, null, undefined, '5000', {}]) {
    const { wx, timers, client } = await open();
    const { calls } = silence(wx, 'request');
    const wanted = typeof timeout === 'number' && timeout > 0 ? timeout : 30000;
    assert.equal(await boundOf(timers, client.request({ ...USER_INFO, timeout })), wanted + 2000, String(timeout));
    assert.equal(calls[0].options.timeout, wanted);
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
  for (const value of [undefined, null, NaN, -1, '5', {}, [], true]) {
    const { wx, timers, client } = fresh({ loginTimeout: value, requestTimeout: value, dialogTimeout: value, maxWait: value });
    silence(wx, 'login');
    assert.equal(await boundOf(timers, client.login()), 12000, String(value));
    client.setup({ server: value === '5' ? undefined : value, services: Array.isArray(value) ? null : value, wait: value });
  }
  const { client } = fresh();
  client.setup(undefined);
  client.setup(null);
  client.setup({ server: undefined, services: [undefined, null, 7, {}] });
  assert.equal((await ask({ client })).status, 200);
});

// --- Calls that throw, or are not there.

for (const [name, begin] of Object.entries({
  login: logIn, request: ask, uploadFile: CALLS['saveProfile, of a picture'], getUserInfo: CALLS.updateUserInfo,
})) {
  for (const [what, values, replacement, code] of [
    ['that throws', [new Error(`${name}:fail parameter error`), 'a text', { errMsg: `${name}:fail` }, null, undefined],
      (thrown) => () => { throw thrown; }, 'network'],
    ['that is missing', [undefined, null, {}], (missing) => missing, 'unsupported'],
  ]) {
    test(`a wx.${name} ${what} is a Problem`, async () => {
      for (const value of values) {
        const { wx, timers, client } = await (name === 'login' ? fresh() : open());
        const original = wx[name];
        wx[name] = replacement(value);
        const call = fate(begin({ client }));
        await timers.pass(0);
        assertProblem(call, { ...NO_ANSWER, code }, String(value));
        assert.equal(timers.pending, 0);
        wx[name] = original;
        await client.login();
      }
    });
  }

  test(`a wx.${name} that succeeds with nothing is a Problem`, async () => {
    for (const nothing of [undefined, null, 'ok', 7]) {
      const { wx, timers, client } = await (name === 'login' ? fresh() : open());
      answerWith(wx, name, nothing);
      await assert.rejects(begin({ client }), ({ code, action }) => typeof code === 'string' && action === 'none');
      assert.equal(timers.pending, 0);
    }
  });
}

check('a call that both fails and succeeds, or does so twice, counts once', open, [({ wx }) => {
  wx.request = ({ success, fail }) => {
    fail({ errMsg: 'request:fail' });
    success({ statusCode: 200, data: {} });
    fail({ errMsg: 'request:fail' });
  };
}, ask], { fails: NO_ANSWER });
