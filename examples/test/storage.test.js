// What the client keeps on the phone: for the next launch, for how long, and what it makes of a storage that is wrong.

const assert = require('node:assert/strict');
const { inspect } = require('node:util');
const { server, watch } = require('./phone.js');
const {
  KEY, WEEK, UNKNOWN_TOKEN, LOGIN, GET_USER, logIn, logInSilently, ask, order, logOut, endSession, ended, relaunch, stop, pass,
  failing, atOnce, whileAnswer, newPhone, openPhone, enter, shopPhone, planted, check, kept, works,
} = require('./session.js');

const HOUR = 3600; // seconds

/** closed makes of a new phone one that has logged in, with a clock that stands still, at the next launch. */
const closed = [stop, enter, relaunch];

for (const use of [logIn, ask]) {
  check(`an expired token is not even sent by ${use.name}`, newPhone, [...closed, async (phone) => {
    const sent = watch(phone.wx, 'request');
    phone.clock.pass(WEEK);
    await use(phone);
    assert.ok(sent[0].url === server + '/onLogin' && !('Authorization' in sent[0].header));
    assert.equal(kept(phone).expiresAt, phone.clock.now() + WEEK * 1000);
  }], { logins: 1 });
}

for (const [name, [steps, expected]] of Object.entries({
  'what is kept is the token, its expiry and whose it is, and no more': [async (phone) => {
    const { token, ...rest } = kept(phone);
    assert.ok(await works(token));
    assert.deepEqual(rest, { server, expiresAt: phone.clock.now() + WEEK * 1000, lifetime: WEEK, loggedOut: false });
  }],
  'the next launch needs no code': [[logIn, relaunch, logIn, relaunch, logIn, relaunch, ask],
    { requests: Array(4).fill(GET_USER), logins: 0, token: 'same' }],
  'a token is used until the second before it expires': [[pass(WEEK - 1), logIn], { requests: [GET_USER] }],
  'a clock that is set back costs no login': [[pass(-10 * 365 * 24 * HOUR), logIn, ask, ask, relaunch, logIn], { logins: 0 }],
  'after a clock was set back, the server knows whether a token has expired': [[endSession, pass(-365 * 24 * HOUR), logIn],
    { requests: ['GET /userInfo 401', LOGIN] }],
  'use moves the expiry on, in storage once an hour at most': [async (phone) => {
    const written = watch(phone.wx, 'setStorageSync');
    for (const [seconds, writes] of [...Array(4).fill([HOUR / 4, 0]), [1, 1], [0, 1], [HOUR, 1], [1, 2]]) {
      phone.clock.pass(seconds);
      await ask(phone);
      assert.deepEqual(written, Array(writes).fill(KEY));
      if (seconds <= 1) assert.equal(kept(phone).expiresAt, phone.clock.now() + WEEK * 1000);
    }
  }, { logins: 0 }],
  'a token in steady use lasts longer than without use': [[...Array(4).fill([pass(WEEK - 1), ask]).flat(), relaunch, logIn],
    { logins: 0 }],
  'a launch that only logs in moves the expiry on too': [[pass(WEEK - HOUR), logIn, pass(2 * HOUR), relaunch, logIn], { logins: 0 }],
  'less than an hour\'s use is known to the client, though not to the storage': [
    [pass(HOUR / 2), ask, pass(WEEK - HOUR / 2), ask], { logins: 0 }],
  'a late answer to an old token does not move the expiry of a newer one on': [async (phone) => {
    let expiresAt;
    await whileAnswer('/userInfo', ask, async () => {
      await endSession(phone);
      await ask(phone);
      ({ expiresAt } = kept(phone));
      phone.clock.pass(2 * HOUR);
    })(phone);
    assert.equal(kept(phone).expiresAt, expiresAt);
  }, { logins: 1 }],
})) {
  check(name, newPhone, [...closed, ...[steps].flat()], expected);
}

check('an answer of failure does not move the expiry on', shopPhone([500, {}]),
  [stop, pass(WEEK - 1), failing(order, { status: 500 }), pass(1), ask], { logins: 1 });

// --- Records that are wrong. Each costs at most one login.

for (const garbage of [null, undefined, '', 'A'.repeat(43), 7, true, [UNKNOWN_TOKEN], {}, 'x'.repeat(1 << 20)]) {
  check(`a storage that holds ${inspect(garbage).slice(0, 50)} costs one login`, newPhone, [
    ({ device }) => device.storage.set(KEY, garbage), ask,
  ], { requests: [LOGIN, GET_USER], token: 'new' });
}

for (const changes of [
  ...[undefined, 7, null, { token: UNKNOWN_TOKEN }, '', 'x'.repeat(10000), 'a\nb', '令牌'].map((token) => ({ token })),
  ...[undefined, String(Date.now() + WEEK * 1000), null, NaN, 1].map((expiresAt) => ({ expiresAt })),
  ...[undefined, 7, 'https://login.example.com'].map((other) => ({ server: other })),
  ...['yes', 1, null, {}, []].map((loggedOut) => ({ loggedOut })),
  { server: 'https://login.example.com', loggedOut: true },
]) {
  check(`a record with ${inspect(changes).slice(0, 80)} is not used`, planted(changes), async (phone) => {
    await logInSilently(phone);
    assert.deepEqual([kept(phone).server, kept(phone).loggedOut], [server, false]);
  }, { requests: [LOGIN], token: 'new' });
}

for (const changes of [{}, { token: 'x' }, { expiresAt: Infinity }]) {
  check(`a record with a wrong token and ${inspect(changes)} costs one refusal and one login`, planted(changes), logIn,
    { requests: ['GET /userInfo 401', LOGIN], token: 'new' });
}

check('a record is written without unknown fields', planted({ more: 'x', loggedOut: undefined }), async (phone) => {
  await ask(phone);
  assert.deepEqual(Object.keys(kept(phone)).sort(), ['expiresAt', 'lifetime', 'loggedOut', 'server', 'token']);
}, { token: 'new' });

for (const lifetime of [undefined, 0, NaN, -1, 'a week']) {
  check(`a token with a lifetime of ${lifetime} works, and costs one login at most`, newPhone, [
    ...closed,
    (phone) => phone.device.storage.set(KEY, { ...kept(phone), lifetime }), relaunch, ask, ask, ask,
    (phone) => assert.equal(kept(phone).lifetime, WEEK),
  ], { requests: [GET_USER, LOGIN, GET_USER, GET_USER] });
}

// --- Storages that fail.

const breaking = (...calls) => ({ wx }) => {
  for (const call of calls) wx[call] = () => { throw new Error(call + ':fail exceed storage max size'); };
};

for (const calls of [['getStorageSync'], ['setStorageSync'], ['getStorageSync', 'setStorageSync']]) {
  check(`a storage whose ${calls.join(' and ')} fails costs one login at each launch, nothing more`, newPhone,
    [breaking(...calls), logIn, logIn, ask, ({ seen }) => assert.equal(seen.logins, 1), relaunch, logIn, logIn, ask],
    { requests: [LOGIN, GET_USER, GET_USER, LOGIN, GET_USER, GET_USER], logins: 2 });
}

check('a storage that cannot be written does not prevent a logout', openPhone,
  [breaking('setStorageSync'), relaunch, logOut, ended, ask], { fails: { code: 'logged_out' } });

check('the storage is read once', openPhone, async (phone) => {
  const read = watch(phone.wx, 'getStorageSync');
  relaunch(phone);
  await atOnce(logIn, ask)(phone);
  await ask(phone);
  assert.deepEqual(read, [KEY]);
});
