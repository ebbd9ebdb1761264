// What the client keeps on the phone: for the next launch, for how long, and what it makes of a storage that is wrong.

const assert = require('node:assert/strict');
const test = require('node:test');
const { stopClock } = require('./clock.js');
const { server, launch, watch } = require('./phone.js');
const {
  KEY, WEEK, UNKNOWN_TOKEN, LOGIN, GET_USER, logIn, logInSilently, ask, order, logOut, endSession, failing, atOnce, whileAnswer,
  newPhone, openPhone, shopPhone, planted, check, assertSeen, kept, works,
} = require('./session.js');

const HOUR = 3600; // seconds

/** checkTime is check with a phone that has logged in and was closed, and a clock that stands still. */
function checkTime(name, steps, expected) {
  test(name, async (t) => {
    const clock = stopClock(t);
    const phone = { ...await openPhone(), clock };
    phone.client = launch(phone);
    for (const step of [steps].flat()) await step(phone);
    await assertSeen(phone, expected);
  });
}

const pass = (seconds) => ({ clock }) => clock.pass(seconds);
const relaunch = (phone) => { phone.client = launch(phone); };

checkTime('what is kept is the token, its expiry and whose it is, and no more', async (phone) => {
  const { token, ...rest } = kept(phone);
  assert.ok(await works(token));
  assert.deepEqual(rest, { server, expiresAt: phone.clock.now() + WEEK * 1000, lifetime: WEEK, loggedOut: false });
}, {});

checkTime('the next launch needs no code', [logIn, relaunch, logIn, relaunch, logIn, relaunch, ask],
  { requests: Array(4).fill(GET_USER), logins: 0, token: 'same' });

checkTime('a token is used until the second before it expires', [pass(WEEK - 1), logIn], { requests: [GET_USER] });

for (const use of [logIn, ask]) {
  checkTime(`an expired token is not even sent by ${use.name}`, async (phone) => {
    const sent = watch(phone.wx, 'request');
    phone.clock.pass(WEEK);
    await use(phone);
    assert.ok(sent[0].url === server + '/onLogin' && !('Authorization' in sent[0].header));
    assert.equal(kept(phone).expiresAt, phone.clock.now() + WEEK * 1000);
  }, { logins: 1, token: 'new' });
}

checkTime('a clock that is set back costs no login', [pass(-10 * 365 * 24 * HOUR), logIn, ask, ask, relaunch, logIn],
  { logins: 0 });

checkTime('after a clock was set back, the server knows whether a token has expired', [endSession, pass(-365 * 24 * HOUR), logIn],
  { requests: ['GET /userInfo 401', LOGIN] });

checkTime('use moves the expiry on, in storage once an hour at most', async (phone) => {
  const written = watch(phone.wx, 'setStorageSync');
  const use = async (seconds, writes) => {
    phone.clock.pass(seconds);
    await ask(phone);
    assert.deepEqual(written, Array(writes).fill(KEY));
  };
  for (let quarter = 0; quarter < 4; quarter++) await use(HOUR / 4, 0);
  await use(1, 1);
  await use(0, 1);
  assert.equal(kept(phone).expiresAt, phone.clock.now() + WEEK * 1000);
  await use(HOUR, 1);
  await use(1, 2);
}, { logins: 0 });

checkTime('a token in steady use lasts longer than without use',
  [...Array(4).fill([pass(WEEK - 1), ask]).flat(), relaunch, logIn], { logins: 0 });

checkTime('a launch that only logs in moves the expiry on too', [pass(WEEK - HOUR), logIn, pass(2 * HOUR), relaunch, logIn],
  { logins: 0 });

checkTime('less than an hour\'s use is known to the client, though not to the storage',
  [pass(HOUR / 2), ask, pass(WEEK - HOUR / 2), ask], { logins: 0 });

check('an answer of failure does not move the expiry on', shopPhone([500, {}]), [
  (phone, t) => { phone.clock = stopClock(t); }, pass(WEEK - 1), failing(order, { status: 500 }), pass(1), ask,
], { logins: 1 });

checkTime('a late answer to an old token does not move the expiry of a newer one on', async (phone) => {
  let expiresAt;
  await whileAnswer('/userInfo', ask, async () => {
    await endSession(phone);
    await ask(phone);
    ({ expiresAt } = kept(phone));
    phone.clock.pass(2 * HOUR);
  })(phone);
  assert.equal(kept(phone).expiresAt, expiresAt);
}, { logins: 1 });

// --- Records that are wrong. Each costs at most one login.

const holding = (record) => () => {
  const phone = newPhone();
  phone.device.storage.set(KEY, record);
  return phone;
};

for (const [name, garbage] of Object.entries({
  null: null, undefined, 'an empty text': '', 'a text': 'A'.repeat(43), 'a number': 7, true: true, 'a list': [UNKNOWN_TOKEN],
  'an empty object': {}, 'a huge text': 'x'.repeat(1 << 20),
})) {
  check(`a storage that holds ${name} costs one login`, holding(garbage), ask,
    { requests: [LOGIN, GET_USER], token: 'new' });
}

for (const [name, changes] of Object.entries({
  'no token': { token: undefined },
  'a token that is a number': { token: 7 },
  'a token that is null': { token: null },
  'a token that is an object': { token: { token: UNKNOWN_TOKEN } },
  'an empty token': { token: '' },
  'no expiry': { expiresAt: undefined },
  'an expiry that is a text': { expiresAt: String(Date.now() + WEEK * 1000) },
  'an expiry of null': { expiresAt: null },
  'an expiry that is not a number': { expiresAt: NaN },
  'an expiry long ago': { expiresAt: 1 },
  'no server': { server: undefined },
  'a server that is a number': { server: 7 },
  'another server\'s token': { server: 'https://login.example.com' },
  'a token too long for a header': { token: 'x'.repeat(10000) },
  'a token with a line break': { token: 'a\nb' },
  'a token that is not ASCII': { token: '令牌' },
  'another server\'s logout': { server: 'https://login.example.com', loggedOut: true },
  ...Object.fromEntries(['yes', 1, null, {}, []].map((loggedOut) => [`loggedOut ${JSON.stringify(loggedOut)}`, { loggedOut }])),
})) {
  check(`a record with ${name} is not used`, () => planted(changes), async (phone) => {
    await logInSilently(phone);
    assert.deepEqual([kept(phone).server, kept(phone).loggedOut], [server, false]);
  }, { requests: [LOGIN], token: 'new' });
}

for (const [name, changes] of Object.entries({
  'an unknown token': {}, 'a malformed token': { token: 'x' }, 'a token that never expires': { expiresAt: Infinity },
})) {
  check(`a record with ${name} costs one refusal and one login`, () => planted(changes), logIn,
    { requests: ['GET /userInfo 401', LOGIN], token: 'new' });
}

check('a record is written without unknown fields', () => planted({ more: 'x', loggedOut: undefined }), async (phone) => {
  await ask(phone);
  assert.deepEqual(Object.keys(kept(phone)).sort(), ['expiresAt', 'lifetime', 'loggedOut', 'server', 'token']);
}, { token: 'new' });

for (const lifetime of [undefined, 0, NaN, -1, 'a week']) {
  checkTime(`a token with a lifetime of ${lifetime} works, and costs one login at most`, [
    (phone) => phone.device.storage.set(KEY, { ...kept(phone), lifetime }), relaunch, ask, ask, ask,
    (phone) => assert.equal(kept(phone).lifetime, WEEK),
  ], { requests: [GET_USER, LOGIN, GET_USER, GET_USER] });
}

// --- Storages that fail.

for (const [name, calls] of Object.entries({
  'that cannot be read': ['getStorageSync'], 'that cannot be written': ['setStorageSync'],
  'that fails completely': ['getStorageSync', 'setStorageSync'],
})) {
  check(`a storage ${name} costs one login at each launch, nothing more`, newPhone, [({ wx }) => {
    for (const call of calls) wx[call] = () => { throw new Error(call + ':fail'); };
  }, logIn, logIn, ask, ({ seen }) => assert.equal(seen.logins, 1), relaunch, logIn, logIn, ask],
  { requests: [LOGIN, GET_USER, GET_USER, LOGIN, GET_USER, GET_USER], logins: 2 });
}

check('a storage that cannot be written does not prevent a logout', openPhone, [({ wx }) => {
  wx.setStorageSync = () => { throw new Error('setStorageSync:fail exceed storage max size'); };
}, relaunch, logOut, async ({ token }) => assert.ok(!(await works(token))), ask], { fails: { code: 'logged_out' } });

check('the storage is read once', openPhone, async (phone) => {
  const read = watch(phone.wx, 'getStorageSync');
  relaunch(phone);
  await atOnce(logIn, ask)(phone);
  await ask(phone);
  assert.deepEqual(read, [KEY]);
});
