// Calls of wx that never call back, or throw: every promise of the client ends, and the next call starts afresh.

const assert = require('node:assert/strict');
const { createTimers } = require('./clock.js');
const { launch, answerWith } = require('./phone.js');
const {
  USER_INFO, CALLS, logIn, logInSilently, ask, update, download, logOut, stillWorks, failing, newPhone, openPhone, planted, check,
  checks, kept,
} = require('./session.js');

const LONG_ENOUGH = 10 * 60 * 1000; // milliseconds
const NO_ANSWER = { status: 0, code: 'network', action: 'none', retryAfter: 0 };
const FAILURE = { errMsg: 'request:fail' };

/** fresh, open and plain take a phone with timers of its own: a new one, one that has logged in, and one with an unknown token. */
const withTimers = (take) => async (changes) => {
  const phone = await take();
  const timers = createTimers();
  return { ...phone, timers, client: launch({ ...phone, timers }, changes) };
};
const fresh = withTimers(newPhone);
const open = withTimers(openPhone);
const plain = withTimers(planted());

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
  const seen = { pending: true, problem: null };
  promise.then(() => { seen.pending = false; }, (problem) => Object.assign(seen, { pending: false, problem }));
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

const PICTURE_CALL = 'saveProfile, of a picture';
const OTHERS = [PICTURE_CALL, 'uploadFile', 'downloadFile', 'token']; // do not call wx.request if there is a token
const TOKENLESS = Object.keys(CALLS).filter((name) => name !== 'logout');

for (const [state, take, api, names] of [
  ['without a token', fresh, 'login', TOKENLESS],
  ['without a token', fresh, 'request', TOKENLESS],
  ['with a token', open, 'request', Object.keys(CALLS).filter((name) => !OTHERS.includes(name))],
  ['with a token', open, 'uploadFile', [PICTURE_CALL, 'uploadFile']],
  ['with a token', open, 'downloadFile', ['downloadFile']],
  ['with a token', open, 'getUserInfo', ['updateUserInfo']],
]) {
  for (const name of names) {
    check(`${state}, ${name} ends without a wx.${api} that calls back, and the next call starts afresh`, take, async (phone) => {
      const { wx, timers, token } = phone;
      const { login } = wx;
      if (take === fresh || name === 'login, fresh') answerWith(wx, 'login', { code: 'a code' });
      if (api === 'request') answerWith(wx, 'getUserInfo', { encryptedData: 'a', iv: 'b' });
      const { calls, restore } = silence(wx, api);
      const second = api === 'login' ? fate(CALLS[name](phone)) : null; // it shares the first one's login
      await assertSilent(timers, CALLS[name](phone), name);
      if (second) assertProblem(second, NO_ANSWER, name);
      assert.ok(calls.length === 1 || (second && calls.length === 2), 'a call without an answer is not repeated');
      assert.equal(calls[0].aborts, 1);
      if (token && !name.startsWith('logout')) await stillWorks(phone);
      restore();
      wx.login = login;
      await logIn(phone);
      assert.equal((await ask(phone)).status, 200);
      assert.equal(timers.pending, 0);
    });
  }
}

checks(fresh, {
  'a logout ends while a silent login is under way, and stays one': [async (phone) => {
    const { restore } = silence(phone.wx, 'login');
    const login = logInSilently(phone);
    const logout = fate(logOut(phone));
    await assertSilent(phone.timers, login, 'login');
    assert.deepEqual(logout, { pending: false, problem: null });
    restore();
    await failing(logInSilently, { code: 'logged_out' })(phone);
    assert.deepEqual([kept(phone).loggedOut, phone.seen.requests], [true, []]);
    await logIn(phone);
  }, { token: 'new' }],
  'requests that keep coming do not keep a logout from ending': [async (phone) => {
    silence(phone.wx, 'login');
    const requests = [fate(ask(phone))];
    const logout = fate(logOut(phone));
    for (let i = 0; i < 20 && logout.pending; i++) {
      requests.push(fate(ask(phone)));
      await phone.timers.passNext();
    }
    assert.deepEqual(logout, { pending: false, problem: null });
    assert.ok(requests.every(({ pending }) => !pending));
    await ask(phone);
  }, { fails: { code: 'logged_out' } }],
  'no timer is left when a call has ended, well or not': [async ({ wx, timers, client, device }) => {
    await client.login();
    await client.updateUserInfo();
    await client.saveProfile({ nickName: '小明', avatarFile: (await device.chooseAvatar()).avatarUrl });
    await client.bindPhone(await device.getPhoneNumber());
    await client.unbindPhone();
    await assert.rejects(client.request({ url: '/nowhere' }), { code: 'not_found' });
    await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://gone' }));
    wx.request = ({ fail }) => fail(FAILURE);
    for (const step of [logIn, logOut]) await assert.rejects(step({ client }), NO_ANSWER);
    assert.equal(timers.pending, 0);
  }],
});

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

check('a task that cannot be aborted does no harm', plain, async ({ wx, timers, client }) => {
  for (const task of [undefined, null, 7, {}, { abort: 1 }, { abort() { throw new Error('abort:fail'); } }]) {
    wx.request = () => task;
    await assertSilent(timers, ask({ client }), String(task));
  }
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
  check(name, () => plain(changes), async (phone) => {
    const { timers, wx } = phone;
    const apis = ['login', 'request', 'uploadFile', 'downloadFile', 'getUserInfo'];
    const [logins, requests, uploads, downloads, dialogs] = apis.map((api) => silence(wx, api).calls);
    for (const call of ['request', 'saveProfile, of a name', PICTURE_CALL, 'uploadFile', 'downloadFile']) {
      assert.equal(await boundOf(timers, CALLS[call](phone)), request + 2000);
    }
    assert.equal(await boundOf(timers, update(phone)), dialog);
    phone.device.storage.clear();
    assert.equal(await boundOf(timers, launch(phone, changes).login()), login + 2000);
    const timeouts = [...logins, ...requests, ...uploads, ...downloads].map(({ options }) => options.timeout);
    assert.deepEqual(timeouts, [login, ...Array(5).fill(request)]);
    assert.ok(!('timeout' in dialogs[0].options));
  });
}

check('a timeout of the caller\'s own counts, if it is one', plain, async ({ wx, timers, client }) => {
  const { calls } = silence(wx, 'request');
  for (const timeout of [1, 5000, 300000, 0, -1, NaN, null, undefined, '5000', {}]) {
    const wanted = typeof timeout === 'number' && timeout > 0 ? timeout : 30000;
    assert.equal(await boundOf(timers, client.request({ ...USER_INFO, timeout })), wanted + 2000, String(timeout));
    assert.equal(calls.at(-1).options.timeout, wanted);
  }
});

check('a bound is never more than a timer can wait', () => plain({ dialogTimeout: 1e9 }), async ({ wx, timers, client }) => {
  silence(wx, 'getUserInfo');
  silence(wx, 'request');
  for (const timeout of [2 ** 31, 1e15, Infinity]) {
    const passed = await boundOf(timers, client.request({ ...USER_INFO, timeout }));
    assert.ok(passed > 1e9 && passed < 2 ** 31, String(passed));
  }
  assert.ok(await boundOf(timers, client.updateUserInfo()) < 2 ** 31);
});

check('options of another type change nothing', fresh, async (phone) => {
  const { wx, timers, client } = phone;
  const { restore } = silence(wx, 'login');
  for (const value of [undefined, null, NaN, -1, '5', {}, [], true]) {
    client.setup({ loginTimeout: value, requestTimeout: value, dialogTimeout: value, maxWait: value });
    assert.equal(await boundOf(timers, client.login()), 12000, String(value));
    client.setup({ server: value === '5' ? undefined : value, services: Array.isArray(value) ? null : value, wait: value });
  }
  for (const nothing of [undefined, null]) client.setup(nothing);
  client.setup({ services: [undefined, null, 7, {}] });
  restore();
  assert.equal((await ask(phone)).status, 200);
});

// --- Calls that throw, or are not there.

for (const [api, begin] of [
  ['login', logIn], ['request', ask], ['uploadFile', CALLS[PICTURE_CALL]], ['downloadFile', download], ['getUserInfo', update],
]) {
  const take = api === 'login' ? fresh : open;
  for (const [what, values, replacement, code] of [
    ['that throws', [new Error(`${api}:fail parameter error`), 'a text', { errMsg: `${api}:fail` }, null, undefined],
      (thrown) => () => { throw thrown; }, 'network'],
    ['that is missing', [undefined, null, {}], (missing) => missing, 'unsupported'],
  ]) {
    check(`a wx.${api} ${what} is a Problem`, take, async (phone) => {
      const { wx, timers } = phone;
      const original = wx[api];
      for (const value of values) {
        wx[api] = replacement(value);
        const call = fate(begin(phone));
        await timers.pass(0);
        assertProblem(call, { ...NO_ANSWER, code }, String(value));
        assert.equal(timers.pending, 0);
      }
      wx[api] = original;
      await logIn(phone);
    });
  }

  check(`a wx.${api} that succeeds with nothing is a Problem`, take, async (phone) => {
    for (const nothing of [undefined, null, 'ok', 7]) {
      answerWith(phone.wx, api, nothing);
      await assert.rejects(begin(phone), ({ code, action }) => typeof code === 'string' && action === 'none');
      assert.equal(phone.timers.pending, 0);
    }
  });
}

check('a call that both fails and succeeds, or does so twice, counts once', plain, [({ wx }) => {
  wx.request = ({ success, fail }) => {
    fail(FAILURE);
    success({ statusCode: 200, data: {} });
    fail(FAILURE);
  };
}, ask], { fails: NO_ANSWER });
