// How long the client waits for a server that is busy, when it gives up, and how long it leaves it alone then.

const assert = require('node:assert/strict');
const { server, load, launch, answerWith } = require('./phone.js');
const {
  SHOP, logIn, ask, order, logOut, comeBack, stop, pass, answering, failing, giving, times, newPhone, openPhone, shopPhone, planted,
  check, checks, kept,
} = require('./session.js');

const BUSY = { code: 'wechat_unavailable', action: 'retry' };
const STORAGE = { code: 'storage_unavailable', action: 'retry' };
const ORDERS = [200, { orders: 3 }];

const busyFor = (seconds) => [503, BUSY, seconds === undefined ? {} : { 'Retry-After': seconds }];
const dateIn = (seconds) => new Date(Date.now() + seconds * 1000).toUTCString();

/** stopAtSecond is stop at a whole second: dates in headers have no milliseconds. */
function stopAtSecond(phone, t) {
  stop(phone, t);
  phone.clock.pass(1 - (phone.clock.now() % 1000) / 1000);
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

check('a token is kept while the server is busy', openPhone, [
  answering('GET /userInfo', [503, STORAGE, { 'Retry-After': '2' }]),
  failing(logIn, STORAGE), failing(ask, STORAGE), comeBack, logIn,
], { logins: 0, waits: [2, 2], token: 'same' });

// What Retry-After says, and for how many seconds the client waits. A longer time is handed to the caller.
for (const [name, value, seconds, isWaitedFor = true] of [
  ['missing', () => undefined, 1], ['0', () => '0', 1], ['3', () => '3', 3], ['007', () => '007', 7],
  ['as long as maxWait', () => '10', 10], ['-5', () => '-5', 1], ['garbage', () => 'soon', 1], ['empty', () => '', 1],
  ['a date', () => dateIn(5), 5], ['a date in the past', () => dateIn(-60), 1],
  ['a date in a part of a second', ({ clock }) => { const date = dateIn(5); clock.pass(0.25); return date; }, 5],
  ['more than maxWait', () => '11', 11, false], ['a day', () => '86400', 86400, false],
  ['absurdly long', () => '9'.repeat(15), 1e15 - 1, false], ['a date far ahead', () => dateIn(3600), 3600, false],
]) {
  const busy = (phone) => answering('GET /userInfo', busyFor(value(phone)), [200, {}])(phone);
  check(`a Retry-After that is ${name} means ${seconds} s`, planted(), [stopAtSecond, busy, ask], {
    ...(!isWaitedFor && { fails: { status: 503, ...BUSY, retryAfter: seconds }, requests: ['GET /userInfo 503'] }),
    waits: isWaitedFor ? [seconds] : [],
  });
}

for (const [maxWait, waits] of [[0, []], [59, []], [60, [60]]]) {
  check(`setup says how long is too long: ${maxWait} s`, busyPhone(busyFor('60'), { maxWait }), logIn,
    { fails: { code: 'wechat_unavailable', retryAfter: 60 }, waits });
}

for (const [header, seconds] of [
  ...['Retry-After', 'retry-after', 'RETRY-AFTER', 'Retry-after'].map((name) => [{ Date: '', [name]: '4' }, 4]),
  [{ 'Retry-After': 4 }, 4], [{ Age: '4' }, 1], [undefined, 1], [null, 1],
]) {
  check(`phones may give ${JSON.stringify(header)} for headers`, planted(), [({ wx }) => answerWith(wx, 'request',
    { statusCode: 503, data: { status: 503, ...BUSY }, header }, { statusCode: 200, data: {}, header: {} }), ask,
  ], { waits: [seconds] });
}

// --- After a refusal, logins are kept back until it is time.

const refusedFor = (retryAfter) => failing(logIn, { retryAfter });

checks(busyPhone(busyFor('60')), {
  'twenty callers leave the server alone until it is time': [[
    stop, failing(logIn, { code: 'wechat_unavailable', retryAfter: 60 }), comeBack, pass(59.5),
    ...[logIn, ask].map((step) => times(10, failing(step, { status: 503, ...BUSY, retryAfter: 1 }))),
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

check('a refusal after the wait counts from then', busyPhone(busyFor('2')), [
  stop, ({ client, clock }) => client.setup({ wait: async (seconds) => clock.pass(seconds) }),
  ...[[0, 2, 2], [1, 1, 2], [1, 2, 4]].flatMap(([passed, retryAfter, logins]) => [
    pass(passed), refusedFor(retryAfter), ({ seen }) => assert.equal(seen.logins, logins),
  ]),
]);

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

check('the default wait takes its seconds', shopPhone(busyFor('7'), ORDERS), async (phone) => {
  const asked = [];
  const wait = (done, ms) => {
    asked.push(ms);
    return setTimeout(done, ms === 7000 ? 0 : ms);
  };
  const client = load({ ...phone, timers: { setTimeout: wait, clearTimeout } });
  client.setup({ server, services: [SHOP] });
  await giving(order, { status: 200, orders: 3 })({ client });
  assert.equal(asked.filter((ms) => ms === 7000).length, 1);
});
