// What the client keeps on the phone: for the next launch, for how long, and what it makes of a storage that is wrong.

const assert = require('node:assert/strict');
const test = require('node:test');
const { watch, holdAnswer } = require('./calls.js');
const { stopClock } = require('./clock.js');
const { server, takePhone, launch, answering } = require('./phone.js');
const { KEY, WEEK, UNKNOWN_TOKEN, kept, tokenOf, plant, works, end } = require('./session.js');

const HOUR = 3600; // seconds
const USER_INFO = { url: '/userInfo' };

// phoneInUse is a phone on which the mini-program has logged in, and was closed.
async function phoneInUse() {
  const phone = takePhone();
  await launch(phone).login();
  phone.seen.requests.length = 0;
  phone.seen.logins = 0;
  return phone;
}

test('what is kept is the token, its expiry and whose it is, and no more', async (t) => {
  const clock = stopClock(t);
  const { token, ...rest } = kept(await phoneInUse());
  assert.ok(await works(token));
  assert.deepEqual(rest, { server, expiresAt: clock.now() + WEEK * 1000, lifetime: WEEK, loggedOut: false });
});

test('the next launch needs no code', async () => {
  const phone = await phoneInUse();
  const before = tokenOf(phone);
  for (let launches = 0; launches < 3; launches++) await launch(phone).login();
  await launch(phone).request(USER_INFO);
  assert.equal(phone.seen.logins, 0);
  assert.deepEqual(phone.seen.requests, Array(4).fill('GET /userInfo 200'));
  assert.ok(tokenOf(phone) === before);
});

test('a token is used until the second before it expires', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  clock.pass(WEEK - 1);
  await launch(phone).login();
  assert.deepEqual(phone.seen.requests, ['GET /userInfo 200']);
});

for (const [name, use] of [['login', (client) => client.login()], ['request', (client) => client.request(USER_INFO)]]) {
  test(`an expired token is not even sent by ${name}()`, async (t) => {
    const clock = stopClock(t);
    const phone = await phoneInUse();
    const sent = watch(phone.wx, 'request');
    const before = tokenOf(phone);
    clock.pass(WEEK);
    await use(launch(phone));
    assert.ok(sent[0].url === server + '/onLogin' && !('Authorization' in sent[0].header));
    assert.equal(phone.seen.logins, 1);
    assert.ok(tokenOf(phone) !== before && kept(phone).expiresAt === clock.now() + WEEK * 1000);
  });
}

test('a clock that is set back costs no login', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  clock.pass(-10 * 365 * 24 * HOUR);
  const client = launch(phone);
  await client.login();
  await client.request(USER_INFO);
  await client.request(USER_INFO);
  await launch(phone).login();
  assert.equal(phone.seen.logins, 0);
});

test('after a clock was set back, the server knows whether a token has expired', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  await end(tokenOf(phone));
  clock.pass(-365 * 24 * HOUR);
  await launch(phone).login();
  assert.deepEqual(phone.seen.requests, ['GET /userInfo 401', 'POST /onLogin 200']);
});

test('use moves the expiry on, in storage once an hour at most', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  const written = watch(phone.wx, 'setStorageSync');
  const client = launch(phone);
  for (let minutes = 0; minutes < 60; minutes += 15) {
    clock.pass(15 * 60);
    await client.request(USER_INFO);
  }
  assert.equal(written.length, 0);
  clock.pass(1);
  await client.request(USER_INFO);
  await client.request(USER_INFO);
  assert.deepEqual(written, [KEY]);
  assert.equal(kept(phone).expiresAt, clock.now() + WEEK * 1000);

  clock.pass(HOUR);
  await client.request(USER_INFO);
  assert.equal(written.length, 1);
  clock.pass(1);
  await client.request(USER_INFO);
  assert.equal(written.length, 2);
});

test('a token in steady use lasts longer than without use', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  const client = launch(phone);
  for (let i = 0; i < 4; i++) {
    clock.pass(WEEK - 1);
    await client.request(USER_INFO);
  }
  await launch(phone).login();
  assert.equal(phone.seen.logins, 0);
});

test('a launch that only logs in moves the expiry on too', async (t) => {
  const clock = stopClock(t);
  const phone = takePhone();
  await launch(phone).login();
  clock.pass(WEEK - 3600);
  await launch(phone).login();
  clock.pass(7200);
  await launch(phone).login();
  assert.equal(phone.seen.logins, 1);
});

test('less than an hour\'s use is known to the client, though not to the storage', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  const client = launch(phone);
  clock.pass(HOUR / 2);
  await client.request(USER_INFO);
  clock.pass(WEEK - HOUR / 2);
  await client.request(USER_INFO);
  assert.equal(phone.seen.logins, 0);
});

test('an answer of failure does not move the expiry on', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  const service = await answering(t, [500, {}]);
  const client = launch(phone, { services: [service] });
  clock.pass(WEEK - 1);
  await assert.rejects(client.request({ url: service + '/orders' }), { status: 500 });
  clock.pass(1);
  await client.request(USER_INFO);
  assert.equal(phone.seen.logins, 1);
});

test('a late answer to an old token does not move the expiry of a newer one on', async (t) => {
  const clock = stopClock(t);
  const phone = await phoneInUse();
  const client = launch(phone);
  const held = holdAnswer(phone.wx, '/userInfo');
  const late = client.request(USER_INFO);
  await held.came;
  await end(tokenOf(phone));
  await client.request(USER_INFO);
  const { expiresAt } = kept(phone);
  clock.pass(2 * HOUR);
  held.go();
  await late;
  assert.equal(kept(phone).expiresAt, expiresAt);
  assert.equal(phone.seen.logins, 1);
});

const GARBAGE = {
  null: null,
  undefined,
  'an empty text': '',
  'a text': 'A'.repeat(43),
  'a number': 7,
  true: true,
  'a list': [UNKNOWN_TOKEN],
  'an empty object': {},
  'a huge text': 'x'.repeat(1 << 20),
};

for (const [name, garbage] of Object.entries(GARBAGE)) {
  test(`a storage that holds ${name} costs one login`, async () => {
    const phone = takePhone();
    phone.device.storage.set(KEY, garbage);
    const client = launch(phone);
    await client.request(USER_INFO);
    assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'GET /userInfo 200']);
    assert.ok(await works(tokenOf(phone)));
  });
}

const WRONG_FIELDS = {
  'no token': { token: undefined },
  'a token that is a number': { token: 7 },
  'a token that is null': { token: null },
  'a token that is an object': { token: { token: UNKNOWN_TOKEN } },
  'an empty token': { token: '' },
  'no expiry': { expiresAt: undefined },
  'an expiry that is a text': { expiresAt: String(Date.now() + WEEK * 1000) },
  'an expiry of null': { expiresAt: null },
  'an expiry that is no number': { expiresAt: NaN },
  'an expiry long ago': { expiresAt: 1 },
  'no server': { server: undefined },
  'a server that is a number': { server: 7 },
  'another server\'s token': { server: 'https://login.example.com' },
  'a token too long for a header': { token: 'x'.repeat(10000) },
  'a token with a line break': { token: 'a\nb' },
  'a token that is not ASCII': { token: '令牌' },
  'another server\'s logout': { server: 'https://login.example.com', loggedOut: true },
};

for (const [name, changes] of Object.entries(WRONG_FIELDS)) {
  test(`a record with ${name} is not used`, async () => {
    const phone = takePhone();
    plant(phone, changes);
    await launch(phone).login({ silent: true });
    assert.deepEqual(phone.seen.requests, ['POST /onLogin 200']);
    assert.ok(await works(tokenOf(phone)));
    assert.equal(kept(phone).server, server);
  });
}

const WRONG_TOKENS = {
  'nobody\'s token': { token: UNKNOWN_TOKEN },
  'a malformed token': { token: 'x' },
  'a token that never expires': { expiresAt: Infinity },
};

for (const [name, changes] of Object.entries(WRONG_TOKENS)) {
  test(`a record with ${name} costs one refusal and one login`, async () => {
    const phone = takePhone();
    plant(phone, changes);
    await launch(phone).login();
    assert.deepEqual(phone.seen.requests, ['GET /userInfo 401', 'POST /onLogin 200']);
    assert.ok(await works(tokenOf(phone)));
  });
}

for (const lifetime of [undefined, 0, NaN, -1, 'a week']) {
  test(`a token with a lifetime of ${lifetime} works, and costs one login at most`, async () => {
    const phone = await phoneInUse();
    phone.device.storage.set(KEY, { ...kept(phone), lifetime });
    const client = launch(phone);
    for (let i = 0; i < 3; i++) await client.request(USER_INFO);
    assert.deepEqual(phone.seen.requests, [
      'GET /userInfo 200', 'POST /onLogin 200', 'GET /userInfo 200', 'GET /userInfo 200',
    ]);
    assert.equal(kept(phone).lifetime, WEEK);
  });
}

for (const [name, calls] of Object.entries({
  'that cannot be read': ['getStorageSync'],
  'that cannot be written': ['setStorageSync'],
  'that fails at all': ['getStorageSync', 'setStorageSync'],
})) {
  test(`a storage ${name} costs one login at each launch, nothing more`, async () => {
    const phone = takePhone();
    for (const call of calls) phone.wx[call] = () => { throw new Error(call + ':fail'); };
    for (let launches = 1; launches <= 2; launches++) {
      const client = launch(phone);
      await client.login();
      await client.login();
      await client.request(USER_INFO);
      assert.equal(phone.seen.logins, launches);
    }
    const once = ['POST /onLogin 200', 'GET /userInfo 200', 'GET /userInfo 200'];
    assert.deepEqual(phone.seen.requests, [...once, ...once]);
  });
}

test('a storage that cannot be written does not keep a logout from happening', async () => {
  const phone = await phoneInUse();
  const old = tokenOf(phone);
  phone.wx.setStorageSync = () => { throw new Error('setStorageSync:fail exceed storage max size'); };
  const client = launch(phone);
  await client.logout();
  assert.ok(!(await works(old)));
  await assert.rejects(client.request(USER_INFO), { code: 'logged_out' });
});

test('the storage is read once', async () => {
  const phone = await phoneInUse();
  const read = watch(phone.wx, 'getStorageSync');
  const client = launch(phone);
  await Promise.all([client.login(), client.request(USER_INFO)]);
  await client.request(USER_INFO);
  assert.deepEqual(read, [KEY]);
});
