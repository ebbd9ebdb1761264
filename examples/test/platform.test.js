// The client on other platforms: what setup names, or the global that is there: wx, uni or Taro.

const assert = require('node:assert/strict');
const { createTimers } = require('./clock.js');
const { launch, takePhone } = require('./phone.js');
const {
  UPLOAD, LOGIN, GET_USER, UPDATE, CALLS, logIn, logInFresh, ask, update, upload, download, logOut, goAway, comeBack, failing,
  newPhone, check, checks,
} = require('./session.js');

/** without is a phone whose client finds no global wx. */
const without = (changes = () => ({})) => () => {
  const phone = takePhone();
  return { ...phone, client: launch({ ...phone, wx: undefined }, changes(phone)) };
};

/** global makes the phone a global of this name until the test ends. */
const global = (name) => ({ wx }, t) => {
  globalThis[name] = wx;
  t.after(() => { delete globalThis[name]; });
};

/** unusable is a platform that must not be used. */
const unusable = new Proxy({}, { get: (_, name) => assert.fail(`${String(name)} of another platform`) });

const saveBoth = async ({ client, device }) => {
  const { avatarUrl: avatarFile } = await device.chooseAvatar();
  return client.saveProfile({ nickName: '小明', avatarFile });
};
const everything = [logIn, ask, update, saveBoth, download];
const REQUESTS = [LOGIN, GET_USER, UPDATE, UPDATE, UPLOAD, GET_USER];
const UNSUPPORTED = { name: 'WxloginProblem', status: 0, code: 'unsupported', action: 'none' };

check('a platform that setup names is used for everything', without(({ wx }) => ({ platform: wx })), [...everything, (phone) => (
  launch({ ...phone, wx: unusable }, { platform: phone.wx }).login() // with the token from its storage
)], { requests: [...REQUESTS, GET_USER], logins: 1 });

for (const name of ['uni', 'Taro']) {
  check(`a global ${name} is used if there is no wx`, without(), [global(name), ...everything], { requests: REQUESTS, logins: 1 });
  check(`a global ${name} may come after the first call`, without(), [failing(logIn, UNSUPPORTED), global(name), logIn],
    { logins: 1 });
}

check('wx goes before uni, uni before Taro, and setup before all', newPhone, [
  (_, t) => { for (const name of ['uni', 'Taro']) global(name)({ wx: unusable }, t); }, logIn,
  (phone, t) => { global('uni')(phone, t); phone.client = launch({ ...phone, wx: undefined }); }, logIn,
  (phone) => { phone.client = launch({ ...phone, wx: unusable }, { platform: phone.wx }); }, logIn,
], { logins: 1 });

check('setup takes an object as it is, null ends that, and other values change nothing', newPhone, async (phone) => {
  const { client, wx } = phone;
  client.setup({ platform: unusable });
  client.setup({ platform: null });
  await logIn(phone);
  class Platform { // a copy would lack its methods, which want their object
    #login = wx.login;
    login(options) { this.#login(options); }
    request(options) { this.asked = true; wx.request(options); }
  }
  const platform = new Platform();
  client.setup({ platform });
  for (const value of [undefined, 'wx', 7, true, [], () => {}]) client.setup({ platform: value });
  await client.login({ fresh: true });
  assert.equal(platform.asked, true);
}, { logins: 2 });

check('without a platform every call is refused', without(), async (phone) => {
  for (const [name, step] of Object.entries(CALLS)) {
    if (name !== 'logout') await assert.rejects(step(phone), UNSUPPORTED, name);
  }
  await logOut(phone);
  await assert.rejects(ask(phone), { code: 'logged_out' });
});

// --- Platforms whose calls return promises too.

/** promising makes a platform of wx as Taro does: a call calls back, and settles its promise, which has the task's abort(). */
function promising(wx) {
  const call = (name) => (options) => {
    let task;
    const promise = new Promise((resolve, reject) => {
      task = wx[name]({
        ...options,
        success: (res) => { options.success(res); resolve(res); },
        fail: (res) => { options.fail(res); reject(res); },
      });
    });
    return Object.assign(promise, { abort: () => { task?.abort?.(); return promise; } });
  };
  return Object.fromEntries(Object.keys(wx).map((name) => [name, name.endsWith('Sync') ? wx[name] : call(name)]));
}

const promisingPhone = without(({ wx }) => ({ platform: promising(wx) }));

/** quietly does steps during which no rejection may be left to the platform. */
const quietly = (...steps) => async (phone, t) => {
  const unhandled = [];
  const note = (err) => unhandled.push(err);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  for (const step of steps) await step(phone, t);
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
};

checks(promisingPhone, {
  'a platform of promises works like another': [quietly(...everything), { requests: REQUESTS, logins: 1 }],
  'a rejection of its promises is never left unhandled': [quietly(
    goAway, failing(logIn, { code: 'network' }), comeBack, logIn, goAway,
    ...[logInFresh, ask, update, upload, download].map((step) => failing(step, { code: 'network' })),
  )],
  'nor is that of a call that is aborted': [quietly(async ({ wx }) => {
    const timers = createTimers();
    const calls = [];
    const request = (options) => {
      calls.push(options);
      return { abort: () => options.fail({ errMsg: 'request:fail abort' }) };
    };
    const client = launch({ wx: promising({ ...wx, request }), timers });
    const asked = assert.rejects(client.request({ url: '/userInfo' }), { code: 'network', detail: /did not call back/ });
    while (calls.length === 0) await new Promise(setImmediate);
    await timers.pass(60000);
    await asked;
  })],
});
