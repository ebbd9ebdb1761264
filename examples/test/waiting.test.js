// How long the client waits for a server that is busy, when it gives up, and how long it leaves it alone then.

const assert = require('node:assert/strict');
const test = require('node:test');
const { stopClock } = require('./clock.js');
const { server, load, launch, answerWith } = require('./phone.js');
const {
  SHOP, logIn, ask, order, logOut, comeBack, answering, failing, times, newPhone, openPhone, shopPhone, check, checks,
  assertSeen, kept,
} = require('./session.js');

const BUSY = { code: 'wechat_unavailable', action: 'retry' };
const ORDERS = [200, { orders: 3 }];

const busyFor = (seconds) => [503, BUSY, seconds === undefined ? {} : { 'Retry-After': seconds }];
const dateIn = (seconds) => new Date(Date.now() + seconds * 1000).toUTCString();

/** stopAtSecond is stopClock at a whole second: dates in headers have no milliseconds. */
function stopAtSecond(t) {
  const clock = stopClock(t);
  clock.pass(1 - (clock.now() % 1000) / 1000);
  return clock;
}

/** busyPhone is a phone whose logins are answered so. */
const busyPhone = (answer, changes) => () => {
  const phone = newPhone({}, changes);
  phone.net.answer('POST /onLogin', answer);
  return phone;
};

check('a busy server is asked once more after the time that it named', shopPhone(busyFor('2'), ORDERS), order,
  { gives: { status: 200, orders: 3 }, requests: ['GET /orders 503', 'GET /orders 200'], waits: [2] });

check('a server that stays busy is reported, with the time', busyPhone(busyFor('2')), logIn, {
  fails: { status: 503, ...BUSY, retryAfter: 2 }, requests: ['POST /onLogin 503', 'POST /onLogin 503'], logins: 2, waits: [2],
});

const STORAGE = { code: 'storage_unavailable', action: 'retry' };

check('a token is kept while the server is busy', openPhone, [
  answering('GET /userInfo', [503, STORAGE, { 'Retry-After': '2' }]),
  failing(logIn, STORAGE), failing(ask, STORAGE), comeBack, logIn,
], { logins: 0, waits: [2, 2], token: 'same' });

// What Retry-After says, and for how many seconds the client waits.
for (const [name, value, seconds] of [
  ['is missing', () => undefined, 1], ['is 0', () => '0', 1], ['is 3', () => '3', 3], ['has a leading zero', () => '007', 7],
  ['is as long as maxWait', () => '10', 10], ['is negative', () => '-5', 1], ['is garbage', () => 'soon', 1],
  ['is empty', () => '', 1], ['is a date', () => dateIn(5), 5], ['is a date in the past', () => dateIn(-60), 1],
  ['is a date in a part of a second', (clock) => { const date = dateIn(5); clock.pass(0.25); return date; }, 5],
]) {
  test(`a Retry-After that ${name} means ${seconds} s`, async (t) => {
    const clock = stopAtSecond(t);
    const phone = await shopPhone(busyFor(value(clock)), ORDERS)();
    await order(phone);
    await assertSeen(phone, { waits: [seconds] });
  });
}

for (const [name, value, seconds] of [
  ['more than maxWait', () => '11', 11], ['a day', () => '86400', 86400], ['absurdly long', () => '9'.repeat(15), 1e15 - 1],
  ['a date far ahead', () => dateIn(3600), 3600],
]) {
  test(`a Retry-After that is ${name} is handed to the caller`, async (t) => {
    stopAtSecond(t);
    const phone = await shopPhone([429, { code: 'rate_limited', action: 'retry' }, { 'Retry-After': value() }])();
    await assert.rejects(order(phone), { status: 429, code: 'rate_limited', retryAfter: seconds });
    await assertSeen(phone, { requests: ['GET /orders 429'] });
  });
}

for (const [maxWait, waits] of [[0, []], [59, []], [60, [60]]]) {
  check(`setup says how long is too long: ${maxWait} s`, busyPhone(busyFor('60'), { maxWait }), logIn,
    { fails: { code: 'wechat_unavailable', retryAfter: 60 }, waits });
}

for (const [name, header, seconds] of [
  ...['Retry-After', 'retry-after', 'RETRY-AFTER', 'Retry-after'].map((name) => [`named ${name}`, { Date: '', [name]: '4' }, 4]),
  ['that is a number', { 'Retry-After': 4 }, 4], ['among others, missing', { Age: '4' }, 1], ['without any', undefined, 1],
  ['with null for all', null, 1],
]) {
  check(`phones may give a header ${name}`, openPhone, [({ wx }) => answerWith(wx, 'request',
    { statusCode: 503, data: { status: 503, ...BUSY }, header }, { statusCode: 200, data: {}, header: {} }), ask,
  ], { waits: [seconds] });
}

check('time to wait is only given if waiting helps', shopPhone([500, { code: 'internal', action: 'none' }, { 'Retry-After': '2' }]),
  order, { fails: { status: 500, action: 'none', retryAfter: 0 } });

// --- After a refusal, logins are kept back until it is time.

const refusedFor = (retryAfter) => failing(logIn, { retryAfter });
const pass = (seconds) => ({ clock }) => clock.pass(seconds);

/** stop stops the clock of the phone for pass. */
const stop = (phone, t) => { phone.clock = stopClock(t); };

checks(busyPhone(busyFor('60')), {
  'twenty callers leave the server alone until it is time': [[
    stop, failing(logIn, { code: 'wechat_unavailable', retryAfter: 60 }), comeBack, pass(59.5),
    times(10, failing(logIn, { status: 503, ...BUSY, retryAfter: 1 })),
    times(10, failing(ask, { status: 503, ...BUSY, retryAfter: 1 })),
    ({ seen }) => assert.deepEqual([seen.logins, seen.requests.length], [1, 1]), pass(0.5), times(20, ask),
  ], { logins: 2 }],
  'a clock that is set back does not lengthen a refusal': [[stop, refusedFor(60), comeBack, pass(-1), logIn], { logins: 2 }],
  'a refusal is over with the login that succeeds': [[
    stop, refusedFor(60), comeBack, pass(60), logIn,
    pass(-30), // so far back that the refusal, were it remembered, would count
    logOut, logIn, (phone) => assert.ok(kept(phone).token),
  ], { logins: 3 }],
  'a refusal by one server is none by another': [[
    ({ client }) => client.setup({ server: 'https://busy.example.com' }), refusedFor(60), comeBack,
    ({ client }) => client.setup({ server }), async (phone) => assert.equal((await logIn(phone)).isNewUser, true),
  ]],
});

test('a refusal after the wait counts from then', async (t) => {
  const clock = stopClock(t);
  const { client, seen } = busyPhone(busyFor('2'), { wait: async (seconds) => clock.pass(seconds) })();
  for (const [passed, retryAfter, logins] of [[0, 2, 2], [1, 1, 2], [1, 2, 4]]) {
    clock.pass(passed);
    await assert.rejects(client.login(), { retryAfter });
    assert.equal(seen.logins, logins);
  }
});

check('a refused token is not tried again while logins are kept back', openPhone, [
  answering('POST /onLogin', busyFor('60')), answering('GET /userInfo', [401, { code: 'invalid_token', action: 'relogin' }]),
  refusedFor(60), answering('GET /userInfo', [200, {}]), failing(ask, { retryAfter: 60 }),
  ({ seen }) => assert.equal(seen.logins, 1),
  (phone) => refusedFor(60)({ client: launch(phone) }), // the next launch remembers no refusal
], { logins: 2 });

check('what fails without a time to wait is tried again at once', busyPhone(
  [503, { code: 'misconfigured', action: 'none' }, { 'Retry-After': '60' }],
), [failing(logIn, { code: 'misconfigured', retryAfter: 0 }), comeBack, logIn], { logins: 2 });

check('a service that is busy does not keep logins back', shopPhone(busyFor('60')),
  [failing(order, { retryAfter: 60 }), logOut, logIn], { logins: 1 });

test('the default wait takes its seconds', async (t) => {
  const phone = await shopPhone(busyFor('7'), ORDERS)();
  const client = load(phone);
  client.setup({ server, services: [SHOP] });
  const asked = [];
  const { setTimeout: original } = globalThis;
  t.after(() => { globalThis.setTimeout = original; });
  globalThis.setTimeout = (done, ms, ...more) => {
    if (ms !== 7000) return original(done, ms, ...more);
    asked.push(ms);
    return original(done, 0);
  };
  assert.deepEqual(await client.request({ url: SHOP + '/orders' }), { status: 200, orders: 3 });
  assert.deepEqual(asked, [7000]);
});
