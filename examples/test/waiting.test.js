// How long the client waits for a server that is busy, when it gives up, and how long it leaves it alone then.

const assert = require('node:assert/strict');
const test = require('node:test');
const { stopClock } = require('./clock.js');
const { server, load, launch, answerWith } = require('./phone.js');
const { SHOP, USER_INFO, newPhone, openPhone, shopPhone, check, checks, assertSeen, kept } = require('./session.js');

const BUSY = { code: 'wechat_unavailable', action: 'retry' };
const ORDERS = [200, { orders: 3 }];
const ORDER = 'GET /orders 200';

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

check('a busy server is asked once more after the time that it named', () => shopPhone([busyFor('2'), ORDERS]), ({ order }) => order(),
  { gives: { status: 200, orders: 3 }, requests: ['GET /orders 503', ORDER], waits: [2] });

check('a server that stays busy is reported, with the time', busyPhone(busyFor('2')), ({ client }) => client.login(), {
  fails: { status: 503, ...BUSY, retryAfter: 2 }, requests: ['POST /onLogin 503', 'POST /onLogin 503'], logins: 2, waits: [2],
});

check('a token is kept while the server is busy', openPhone, async ({ client, net }) => {
  net.answer('GET /userInfo', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }]);
  await assert.rejects(client.login(), { code: 'storage_unavailable' });
  await assert.rejects(client.request(USER_INFO), { code: 'storage_unavailable' });
  net.clear();
  await client.login();
}, { logins: 0, waits: [2, 2], token: 'same' });

// What Retry-After says, and for how many seconds the client waits.
for (const [name, value, seconds] of [
  ['is missing', () => undefined, 1], ['is 0', () => '0', 1], ['is 3', () => '3', 3], ['has a leading zero', () => '007', 7],
  ['is as long as maxWait', () => '10', 10], ['is negative', () => '-5', 1], ['is garbage', () => 'soon', 1],
  ['is empty', () => '', 1], ['is a date', () => dateIn(5), 5], ['is a date in the past', () => dateIn(-60), 1],
  ['is a date in a part of a second', (clock) => { const date = dateIn(5); clock.pass(0.25); return date; }, 5],
]) {
  test(`a Retry-After that ${name} means ${seconds} s`, async (t) => {
    const clock = stopAtSecond(t);
    const phone = await shopPhone([busyFor(value(clock)), ORDERS]);
    await phone.order();
    await assertSeen(phone, { waits: [seconds] });
  });
}

for (const [name, value, seconds] of [
  ['more than maxWait', () => '11', 11], ['a day', () => '86400', 86400], ['absurdly long', () => '9'.repeat(15), 1e15 - 1],
  ['a date far ahead', () => dateIn(3600), 3600],
]) {
  test(`a Retry-After that is ${name} is handed to the caller`, async (t) => {
    stopAtSecond(t);
    const phone = await shopPhone([[429, { code: 'rate_limited', action: 'retry' }, { 'Retry-After': value() }]]);
    await assert.rejects(phone.order(), { status: 429, code: 'rate_limited', retryAfter: seconds });
    await assertSeen(phone, { requests: ['GET /orders 429'] });
  });
}

for (const [maxWait, waits] of [[0, []], [59, []], [60, [60]]]) {
  check(`setup says how long is too long: ${maxWait} s`, busyPhone(busyFor('60'), { maxWait }), ({ client }) => client.login(),
    { fails: { code: 'wechat_unavailable', retryAfter: 60 }, waits });
}

for (const [name, header, seconds] of [
  ...['Retry-After', 'retry-after', 'RETRY-AFTER', 'Retry-after'].map((name) => [`named ${name}`, { Date: '', [name]: '4' }, 4]),
  ['that is a number', { 'Retry-After': 4 }, 4], ['among others, missing', { Age: '4' }, 1], ['without any', undefined, 1],
  ['with null for all', null, 1],
]) {
  check(`phones may give a header ${name}`, openPhone, async ({ client, wx }) => {
    answerWith(wx, 'request', { statusCode: 503, data: { status: 503, ...BUSY }, header }, { statusCode: 200, data: {}, header: {} });
    await client.request(USER_INFO);
  }, { waits: [seconds] });
}

check('time to wait is only given if waiting helps', () => (
  shopPhone([[500, { code: 'internal', action: 'none' }, { 'Retry-After': '2' }]])
), ({ order }) => order(), { fails: { status: 500, action: 'none', retryAfter: 0 } });

// --- After a refusal, logins are kept back until it is time.

checks(busyPhone(busyFor('60')), {
  'twenty callers leave the server alone until it is time': [async ({ client, net, seen }, t) => {
    const twenty = (begin) => Promise.all(Array.from({ length: 20 }, (_, i) => begin(i)));
    const clock = stopClock(t);
    await assert.rejects(client.login(), { code: 'wechat_unavailable', retryAfter: 60 });
    net.clear();
    clock.pass(59.5);
    await twenty((i) => assert.rejects(i % 2 ? client.login() : client.request(USER_INFO), { status: 503, ...BUSY, retryAfter: 1 }));
    assert.deepEqual([seen.logins, seen.requests.length], [1, 1]);
    clock.pass(0.5);
    await twenty(() => client.request(USER_INFO));
  }, { logins: 2 }],

  'a clock that is set back does not lengthen a refusal': [async ({ client, net }, t) => {
    const clock = stopClock(t);
    await assert.rejects(client.login(), { retryAfter: 60 });
    net.clear();
    clock.pass(-1);
    await client.login();
  }, { logins: 2 }],

  'a refusal is over with the login that succeeds': [async (phone, t) => {
    const { client, net } = phone;
    const clock = stopClock(t);
    await assert.rejects(client.login(), { retryAfter: 60 });
    net.clear();
    clock.pass(60);
    await client.login();
    clock.pass(-30); // so far back that the refusal, were it remembered, would count
    await client.logout();
    await client.login();
    assert.ok(kept(phone).token);
  }, { logins: 3 }],

  'a refusal by one server is none by another': [async ({ client, net }) => {
    client.setup({ server: 'https://busy.example.com' });
    await assert.rejects(client.login(), { retryAfter: 60 });
    net.clear();
    client.setup({ server });
    assert.equal((await client.login()).isNewUser, true);
  }],
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

check('a refused token is not tried again while logins are kept back', openPhone, async ({ client, net, seen, ...phone }) => {
  net.answer('POST /onLogin', busyFor('60'));
  net.answer('GET /userInfo', [401, { code: 'invalid_token', action: 'relogin' }]);
  await assert.rejects(client.login(), { retryAfter: 60 });
  net.answer('GET /userInfo', [200, {}]);
  await assert.rejects(client.request(USER_INFO), { retryAfter: 60 });
  assert.equal(seen.logins, 1);
  await assert.rejects(launch(phone).login(), { retryAfter: 60 }); // the next launch remembers no refusal
}, { logins: 2 });

check('what fails without a time to wait is tried again at once', busyPhone(
  [503, { code: 'misconfigured', action: 'none' }, { 'Retry-After': '60' }],
), async ({ client, net }) => {
  await assert.rejects(client.login(), { code: 'misconfigured', retryAfter: 0 });
  net.clear();
  await client.login();
}, { logins: 2 });

check('a service that is busy does not keep logins back', () => shopPhone([busyFor('60')]), async ({ client, order }) => {
  await assert.rejects(order(), { retryAfter: 60 });
  await client.logout();
  await client.login();
}, { logins: 1 });

test('the default wait takes its seconds', async (t) => {
  const phone = await shopPhone([busyFor('7'), ORDERS]);
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
