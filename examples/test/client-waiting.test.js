// How long the client waits for a server that is busy, when it gives up, and how long it leaves it alone then.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith } = require('./calls.js');
const { stopClock } = require('./clock.js');
const { startFront } = require('./front.js');
const { server, takePhone, load, launch, answering } = require('./phone.js');

const USER_INFO = { url: '/userInfo' };
const BUSY = { code: 'wechat_unavailable', action: 'retry' };

const times = (n, begin) => Array.from({ length: n }, begin);
const busyFor = (seconds) => [503, BUSY, seconds === undefined ? {} : { 'Retry-After': seconds }];
const dateIn = (seconds) => new Date(Date.now() + seconds * 1000).toUTCString();

// busyLogin is a phone whose server answers its logins so, until front.answers says otherwise.
async function busyLogin(t, answer, changes = {}) {
  const front = await startFront(t, server);
  front.answers.set('POST /onLogin', answer);
  const phone = takePhone();
  return { ...phone, front, client: launch(phone, { server: front.url, ...changes }) };
}

test('a busy server is asked once more after the time that it told', async (t) => {
  const phone = takePhone();
  const service = await answering(t, busyFor('2'), [200, { orders: 3 }]);
  const client = launch(phone, { services: [service] });
  assert.deepEqual(await client.request({ url: service + '/orders' }), { status: 200, orders: 3 });
  assert.deepEqual(client.waits, [2]);
});

test('a server that stays busy is told, with the time', async (t) => {
  const { client, seen } = await busyLogin(t, busyFor('2'));
  const told = { status: 503, code: 'wechat_unavailable', action: 'retry', retryAfter: 2 };
  await assert.rejects(client.login(), told);
  assert.deepEqual(client.waits, [2]);
  assert.deepEqual(seen.requests, ['POST /onLogin 503', 'POST /onLogin 503']);
  assert.equal(seen.logins, 2);
});

test('a token is kept while the server is busy', async (t) => {
  const front = await startFront(t, server);
  const phone = takePhone();
  const client = launch(phone, { server: front.url });
  await client.login();
  front.answers.set('GET /userInfo', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }]);
  await assert.rejects(client.login(), { code: 'storage_unavailable' });
  await assert.rejects(client.request(USER_INFO), { code: 'storage_unavailable' });
  front.answers.clear();
  await client.login();
  assert.equal(phone.seen.logins, 1);
  assert.deepEqual(client.waits, [2, 2]);
});

// What Retry-After says, and how many seconds are waited.
const WAITS = {
  'is missing': [undefined, 1],
  'is 0': ['0', 1],
  'is 3': ['3', 3],
  'has a leading zero': ['007', 7],
  'is as long as maxWait': ['10', 10],
  'is negative': ['-5', 1],
  'is garbage': ['soon', 1],
  'is empty': ['', 1],
  'is a date': [() => dateIn(5), 5],
  'is a date in the past': [() => dateIn(-60), 1],
};

for (const [name, [value, seconds]] of Object.entries(WAITS)) {
  test(`a Retry-After that ${name} means ${seconds} s`, async (t) => {
    const clock = stopClock(t);
    clock.pass(1 - (clock.now() % 1000) / 1000); // a date has no milliseconds
    const phone = takePhone();
    const service = await answering(t, busyFor(typeof value === 'function' ? value() : value), [200, {}]);
    const client = launch(phone, { services: [service] });
    await client.request({ url: service + '/orders' });
    assert.deepEqual(client.waits, [seconds]);
  });
}

test('a part of a second counts as a whole one', async (t) => {
  const clock = stopClock(t);
  clock.pass(1 - (clock.now() % 1000) / 1000);
  const service = await answering(t, busyFor(dateIn(5)), [200, {}]);
  clock.pass(0.25);
  const client = launch(takePhone(), { services: [service] });
  await client.request({ url: service + '/orders' });
  assert.deepEqual(client.waits, [5]);
});

const TOO_LONG = { 'more than maxWait': ['11', 11], 'a day': ['86400', 86400], 'absurd': ['9'.repeat(15), 1e15 - 1] };

for (const [name, [value, seconds]] of Object.entries(TOO_LONG)) {
  test(`a Retry-After of ${name} is handed to the caller`, async (t) => {
    const phone = takePhone();
    const service = await answering(t, [429, { code: 'rate_limited', action: 'retry' }, { 'Retry-After': value }]);
    const client = launch(phone, { services: [service] });
    await client.login();
    const told = { status: 429, code: 'rate_limited', retryAfter: seconds };
    await assert.rejects(client.request({ url: service + '/orders' }), told);
    assert.deepEqual(client.waits, []);
    assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'GET /orders 429']);
  });
}

test('a date far ahead is handed to the caller', async (t) => {
  const clock = stopClock(t);
  clock.pass(1 - (clock.now() % 1000) / 1000);
  const service = await answering(t, busyFor(dateIn(3600)));
  const client = launch(takePhone(), { services: [service] });
  await assert.rejects(client.request({ url: service + '/orders' }), { retryAfter: 3600 });
  assert.deepEqual(client.waits, []);
});

test('how long is too long is setup\'s to say', async (t) => {
  for (const [maxWait, waits] of [[0, []], [59, []], [60, [60]]]) {
    const { client } = await busyLogin(t, busyFor('60'), { maxWait });
    await assert.rejects(client.login(), { code: 'wechat_unavailable', retryAfter: 60 });
    assert.deepEqual(client.waits, waits);
  }
});

for (const name of ['Retry-After', 'retry-after', 'RETRY-AFTER', 'Retry-after']) {
  test(`phones may write the header ${name}`, async () => {
    const phone = takePhone();
    const client = launch(phone);
    await client.login();
    answerWith(phone.wx, 'request',
      { statusCode: 503, data: { status: 503, ...BUSY }, header: { Date: '', [name]: '4' } },
      { statusCode: 200, data: {}, header: {} });
    await client.request(USER_INFO);
    assert.deepEqual(client.waits, [4]);
  });
}

for (const [name, header, seconds] of [
  ['a number', { 'Retry-After': 4 }, 4], ['other headers only', { Age: '4' }, 1], ['none', undefined, 1],
  ['null', null, 1],
]) {
  test(`phones may give ${name} for headers`, async () => {
    const phone = takePhone();
    const client = launch(phone);
    await client.login();
    answerWith(phone.wx, 'request', { statusCode: 503, data: { status: 503, ...BUSY }, header },
      { statusCode: 200, data: {}, header: {} });
    await client.request(USER_INFO);
    assert.deepEqual(client.waits, [seconds]);
  });
}

test('time to wait is told only where waiting helps', async (t) => {
  const service = await answering(t, [500, { code: 'internal', action: 'none' }, { 'Retry-After': '2' }]);
  const client = launch(takePhone(), { services: [service] });
  await assert.rejects(client.request({ url: service + '/orders' }), { status: 500, action: 'none', retryAfter: 0 });
  assert.deepEqual(client.waits, []);
});

test('after a refusal twenty callers leave the server alone until it is time', async (t) => {
  const clock = stopClock(t);
  const { client, seen, front } = await busyLogin(t, busyFor('60'));
  await assert.rejects(client.login(), { code: 'wechat_unavailable', retryAfter: 60 });
  front.answers.clear();

  clock.pass(59.5);
  const again = { status: 503, code: 'wechat_unavailable', action: 'retry', retryAfter: 1 };
  const call = (_, i) => (i % 2 ? client.login() : client.request(USER_INFO));
  await Promise.all(times(20, (...nth) => assert.rejects(call(...nth), again)));
  assert.deepEqual([seen.logins, seen.requests.length, client.waits.length], [1, 1, 0]);

  clock.pass(0.5);
  await Promise.all(times(20, () => client.request(USER_INFO)));
  assert.equal(seen.logins, 2);
});

test('a refusal after the wait counts from then', async (t) => {
  const clock = stopClock(t);
  const { client, seen } = await busyLogin(t, busyFor('2'), { wait: async (seconds) => clock.pass(seconds) });
  await assert.rejects(client.login(), { retryAfter: 2 });
  assert.equal(seen.logins, 2);
  clock.pass(1);
  await assert.rejects(client.login(), { retryAfter: 1 });
  assert.equal(seen.logins, 2);
  clock.pass(1);
  await assert.rejects(client.login(), { retryAfter: 2 });
  assert.equal(seen.logins, 4);
});

test('a clock that is set back does not lengthen a refusal', async (t) => {
  const clock = stopClock(t);
  const { client, seen, front } = await busyLogin(t, busyFor('60'));
  await assert.rejects(client.login(), { retryAfter: 60 });
  front.answers.clear();
  clock.pass(-1);
  await client.login();
  assert.equal(seen.logins, 2);
});

test('a refusal is over with the login that succeeds', async (t) => {
  const clock = stopClock(t);
  const { client, seen, front, ...phone } = await busyLogin(t, busyFor('60'));
  await assert.rejects(client.login(), { retryAfter: 60 });
  front.answers.clear();
  clock.pass(60);
  await client.login();
  clock.pass(-30); // so far back that the refusal, were it remembered, would count
  await client.logout();
  await client.login();
  assert.equal(seen.logins, 3);
  assert.ok(phone.device.storage.get('wxlogin').token);
});

test('a refusal by one server is none by another', async (t) => {
  const busy = await answering(t, [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '60' }]);
  const client = launch(takePhone(), { server: busy });
  await assert.rejects(client.login(), { retryAfter: 60 });
  client.setup({ server });
  assert.equal((await client.login()).isNewUser, true);
});

test('a refused token is not tried again while logins are kept back', async (t) => {
  const front = await startFront(t, server);
  const phone = takePhone();
  await launch(phone, { server: front.url }).login();
  const client = launch(phone, { server: front.url });
  front.answers.set('POST /onLogin', busyFor('60'));
  front.answers.set('GET /userInfo', [401, { code: 'invalid_token', action: 'relogin' }]);
  await assert.rejects(client.login(), { retryAfter: 60 });
  front.answers.delete('GET /userInfo');
  await assert.rejects(client.request(USER_INFO), { retryAfter: 60 }); // the refused token is not tried again
  assert.equal(phone.seen.logins, 2);
  await assert.rejects(launch(phone, { server: front.url }).login(), { retryAfter: 60 });
  assert.equal(phone.seen.logins, 3); // the next launch remembers no refusal
});

test('what fails without a time to wait is tried again at once', async (t) => {
  const answer = [503, { code: 'misconfigured', action: 'none' }, { 'Retry-After': '60' }];
  const { client, seen, front } = await busyLogin(t, answer);
  await assert.rejects(client.login(), { code: 'misconfigured', retryAfter: 0 });
  front.answers.clear();
  await client.login();
  assert.equal(seen.logins, 2);
});

test('a service that is busy does not keep logins back', async (t) => {
  const phone = takePhone();
  const service = await answering(t, busyFor('60'));
  const client = launch(phone, { services: [service] });
  await assert.rejects(client.request({ url: service + '/orders' }), { retryAfter: 60 });
  await client.logout();
  await client.login();
  assert.equal(phone.seen.logins, 2);
});

test('a wait that is nobody\'s own takes its seconds', async (t) => {
  const phone = takePhone();
  const service = await answering(t, busyFor('7'), [200, { orders: 3 }]);
  const client = load(phone);
  client.setup({ server, services: [service] });
  await client.login();
  const asked = [];
  const { setTimeout: original } = globalThis;
  t.after(() => { globalThis.setTimeout = original; });
  globalThis.setTimeout = (done, ms, ...more) => {
    if (ms !== 7000) return original(done, ms, ...more);
    asked.push(ms);
    return original(done, 0);
  };
  assert.deepEqual(await client.request({ url: service + '/orders' }), { status: 200, orders: 3 });
  assert.deepEqual(asked, [7000]);
});
