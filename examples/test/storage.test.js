// What the client keeps on the phone: for the next launch, for how long, and what it makes of a storage that is wrong.

const assert = require('node:assert/strict');
const test = require('node:test');
const { stopClock } = require('./clock.js');
const { server, launch, watch } = require('./phone.js');
const {
  KEY, WEEK, UNKNOWN_TOKEN, LOGIN, GET_USER, USER_INFO, newPhone, openPhone, shopPhone, planted, check, assertSeen, kept, tokenOf,
  works, end,
} = require('./session.js');

const HOUR = 3600; // seconds

/** checkTime is check with a phone that has logged in and was closed, and a clock that stands still. */
function checkTime(name, act, expected) {
  test(name, async (t) => {
    const clock = stopClock(t);
    const phone = await openPhone();
    await act(clock, { ...phone, client: launch(phone) });
    await assertSeen(phone, expected);
  });
}

checkTime('what is kept is the token, its expiry and whose it is, and no more', async (clock, phone) => {
  const { token, ...rest } = kept(phone);
  assert.ok(await works(token));
  assert.deepEqual(rest, { server, expiresAt: clock.now() + WEEK * 1000, lifetime: WEEK, loggedOut: false });
}, {});

check('the next launch needs no code', openPhone, async (phone) => {
  for (let launches = 0; launches < 3; launches++) await launch(phone).login();
  await launch(phone).request(USER_INFO);
}, { requests: Array(4).fill(GET_USER), logins: 0, token: 'same' });

checkTime('a token is used until the second before it expires', async (clock, { client }) => {
  clock.pass(WEEK - 1);
  await client.login();
}, { requests: [GET_USER] });

for (const [name, use] of [['login', (client) => client.login()], ['request', (client) => client.request(USER_INFO)]]) {
  checkTime(`an expired token is not even sent by ${name}()`, async (clock, phone) => {
    const sent = watch(phone.wx, 'request');
    clock.pass(WEEK);
    await use(phone.client);
    assert.ok(sent[0].url === server + '/onLogin' && !('Authorization' in sent[0].header));
    assert.equal(kept(phone).expiresAt, clock.now() + WEEK * 1000);
  }, { logins: 1, token: 'new' });
}

checkTime('a clock that is set back costs no login', async (clock, { client, ...phone }) => {
  clock.pass(-10 * 365 * 24 * HOUR);
  await client.login();
  await client.request(USER_INFO);
  await client.request(USER_INFO);
  await launch(phone).login();
}, { logins: 0 });

checkTime('after a clock was set back, the server knows whether a token has expired', async (clock, { client, token }) => {
  await end(token);
  clock.pass(-365 * 24 * HOUR);
  await client.login();
}, { requests: ['GET /userInfo 401', LOGIN] });

checkTime('use moves the expiry on, in storage once an hour at most', async (clock, phone) => {
  const written = watch(phone.wx, 'setStorageSync');
  const use = async (seconds, writes) => {
    clock.pass(seconds);
    await phone.client.request(USER_INFO);
    assert.deepEqual(written, Array(writes).fill(KEY));
  };
  for (let quarter = 0; quarter < 4; quarter++) await use(HOUR / 4, 0);
  await use(1, 1);
  await use(0, 1);
  assert.equal(kept(phone).expiresAt, clock.now() + WEEK * 1000);
  await use(HOUR, 1);
  await use(1, 2);
}, { logins: 0 });

checkTime('a token in steady use lasts longer than without use', async (clock, { client, ...phone }) => {
  for (let i = 0; i < 4; i++) {
    clock.pass(WEEK - 1);
    await client.request(USER_INFO);
  }
  await launch(phone).login();
}, { logins: 0 });

checkTime('a launch that only logs in moves the expiry on too', async (clock, { client, ...phone }) => {
  clock.pass(WEEK - HOUR);
  await client.login();
  clock.pass(2 * HOUR);
  await launch(phone).login();
}, { logins: 0 });

checkTime('less than an hour\'s use is known to the client, though not to the storage', async (clock, { client }) => {
  clock.pass(HOUR / 2);
  await client.request(USER_INFO);
  clock.pass(WEEK - HOUR / 2);
  await client.request(USER_INFO);
}, { logins: 0 });

check('an answer of failure does not move the expiry on', () => shopPhone([[500, {}]]), async ({ client, order }, t) => {
  const clock = stopClock(t);
  clock.pass(WEEK - 1);
  await assert.rejects(order(), { status: 500 });
  clock.pass(1);
  await client.request(USER_INFO);
}, { logins: 1 });

checkTime('a late answer to an old token does not move the expiry of a newer one on', async (clock, phone) => {
  let expiresAt;
  await phone.net.whileAnswerHeld('/userInfo', () => phone.client.request(USER_INFO), async () => {
    await end(phone.token);
    await phone.client.request(USER_INFO);
    ({ expiresAt } = kept(phone));
    clock.pass(2 * HOUR);
  });
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
  check(`a storage that holds ${name} costs one login`, holding(garbage), ({ client }) => client.request(USER_INFO),
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
    await phone.client.login({ silent: true });
    assert.deepEqual([kept(phone).server, kept(phone).loggedOut], [server, false]);
  }, { requests: [LOGIN], token: 'new' });
}

for (const [name, changes] of Object.entries({
  'an unknown token': {}, 'a malformed token': { token: 'x' }, 'a token that never expires': { expiresAt: Infinity },
})) {
  check(`a record with ${name} costs one refusal and one login`, () => planted(changes), ({ client }) => client.login(),
    { requests: ['GET /userInfo 401', LOGIN], token: 'new' });
}

check('a record is written without unknown fields', () => planted({ more: 'x', loggedOut: undefined }), async (phone) => {
  await phone.client.request(USER_INFO);
  assert.deepEqual(Object.keys(kept(phone)).sort(), ['expiresAt', 'lifetime', 'loggedOut', 'server', 'token']);
}, { token: 'new' });

for (const lifetime of [undefined, 0, NaN, -1, 'a week']) {
  check(`a token with a lifetime of ${lifetime} works, and costs one login at most`, openPhone, async (phone) => {
    phone.device.storage.set(KEY, { ...kept(phone), lifetime });
    const client = launch(phone);
    for (let i = 0; i < 3; i++) await client.request(USER_INFO);
    assert.equal(kept(phone).lifetime, WEEK);
  }, { requests: [GET_USER, LOGIN, GET_USER, GET_USER] });
}

// --- Storages that fail.

for (const [name, calls] of Object.entries({
  'that cannot be read': ['getStorageSync'], 'that cannot be written': ['setStorageSync'],
  'that fails completely': ['getStorageSync', 'setStorageSync'],
})) {
  check(`a storage ${name} costs one login at each launch, nothing more`, newPhone, async ({ client, seen, ...phone }) => {
    for (const call of calls) phone.wx[call] = () => { throw new Error(call + ':fail'); };
    for (const [launches, launched] of [[1, client], [2, launch(phone)]]) {
      await launched.login();
      await launched.login();
      await launched.request(USER_INFO);
      assert.equal(seen.logins, launches);
    }
  }, { requests: [LOGIN, GET_USER, GET_USER, LOGIN, GET_USER, GET_USER] });
}

check('a storage that cannot be written does not prevent a logout', openPhone, async ({ token, ...phone }) => {
  phone.wx.setStorageSync = () => { throw new Error('setStorageSync:fail exceed storage max size'); };
  const client = launch(phone);
  await client.logout();
  assert.ok(!(await works(token)));
  await assert.rejects(client.request(USER_INFO), { code: 'logged_out' });
});

check('the storage is read once', openPhone, async (phone) => {
  const read = watch(phone.wx, 'getStorageSync');
  const client = launch(phone);
  await Promise.all([client.login(), client.request(USER_INFO)]);
  await client.request(USER_INFO);
  assert.deepEqual(read, [KEY]);
});
