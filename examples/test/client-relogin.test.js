// What the client does about a token or a code that is refused: one login for all who wait, and one repeat.

const assert = require('node:assert/strict');
const test = require('node:test');
const { holdAnswer } = require('./calls.js');
const { takePhone, launch, answering } = require('./phone.js');
const { UNKNOWN_TOKEN, tokenOf, plant, works, end } = require('./session.js');

const USER_INFO = { url: '/userInfo' };
const RELOGIN = [401, { code: 'invalid_token', action: 'relogin' }];
const BUSY = [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }];
const USED_CODE = [400, { code: 'invalid_code', action: 'relogin' }];
const BUSY_LOGIN = [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '3' }];
const LOGIN = [200, { token: UNKNOWN_TOKEN, expiresIn: 3600, isNewUser: true, profileComplete: false, userInfo: {} }];

const twenty = (begin) => Promise.all(Array.from({ length: 20 }, begin));

function count({ seen }) {
  const counts = {};
  for (const request of seen.requests) counts[request] = (counts[request] || 0) + 1;
  return counts;
}

test('twenty requests at once on a fresh phone take one code', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const answers = await twenty(() => client.request(USER_INFO));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.deepEqual(count(phone), { 'POST /onLogin 200': 1, 'GET /userInfo 200': 20 });
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
});

test('twenty requests with a token that has ended take one code together', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  const old = tokenOf(phone);
  await end(old);
  const answers = await twenty(() => client.request(USER_INFO));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.deepEqual(count(phone), { 'POST /onLogin 200': 2, 'GET /userInfo 401': 20, 'GET /userInfo 200': 20 });
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [2, 1]);
  assert.ok(tokenOf(phone) !== old && await works(tokenOf(phone)));
});

test('login, profile and requests with a token that has ended take one code together', async () => {
  const phone = takePhone({ loggedIn: true });
  plant(phone);
  const client = launch(phone);
  await Promise.all([
    client.login(), client.request(USER_INFO), client.updateUserInfo(), client.saveProfile({ nickName: '小明' }),
    client.bindPhone(await phone.device.getPhoneNumber()), client.login(), client.request(USER_INFO),
  ]);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
  assert.equal(count(phone)['POST /onLogin 200'], 1);
  assert.equal(count(phone)['POST /bindPhone 200'], 1);
});

test('a late refusal of the old token does not cost a second login', async () => {
  const phone = takePhone();
  plant(phone);
  const client = launch(phone);
  const held = holdAnswer(phone.wx, '/userInfo');
  const late = client.request(USER_INFO);
  await held.came;
  await client.request(USER_INFO); // fetches a newer token
  const newer = tokenOf(phone);
  held.go();
  assert.equal((await late).status, 200);
  assert.equal(phone.seen.logins, 1);
  assert.ok(tokenOf(phone) === newer);
});

test('the repeat goes with the new token', async () => {
  const phone = takePhone();
  plant(phone);
  const tokens = [];
  const { request } = phone.wx;
  phone.wx.request = (options) => {
    if (options.url.endsWith('/userInfo')) tokens.push(options.header.Authorization);
    request(options);
  };
  await launch(phone).request(USER_INFO);
  assert.equal(tokens.length, 2);
  assert.ok(tokens[0] === 'Bearer ' + UNKNOWN_TOKEN);
  assert.ok(tokens[1] === 'Bearer ' + tokenOf(phone));
});

const BEARER = { 'www-authenticate': 'Bearer' };

for (const [name, body, header] of [
  ['as the server says it', { code: 'invalid_token', action: 'relogin' }, {}],
  ['with the header alone', '', BEARER],
  ['with the header and a text', 'Unauthorized', BEARER],
  ['with the header and JSON of its own', { error: 'unauthorized' }, BEARER],
  ['with the header and an action that is none', { action: 7, code: 8 }, BEARER],
  ['with the header and an action of its own', { action: 'show_page' }, BEARER],
  ['with the action, and a header about something else', { action: 'relogin' }, { 'www-authenticate': 'Basic realm="x"' }],
]) {
  test(`a service that says 401 for ever, ${name}, gets one repeat`, async (t) => {
    const phone = takePhone();
    const service = await answering(t, [401, body, header]);
    const client = launch(phone, { services: [service] });
    await client.login();
    const told = { status: 401, action: 'relogin', retryAfter: 0 };
    await assert.rejects(client.request({ url: service + '/orders' }), told);
    assert.deepEqual(phone.seen.requests.slice(1), ['GET /orders 401', 'POST /onLogin 200', 'GET /orders 401']);
    assert.deepEqual([phone.seen.logins, client.waits.length], [2, 0]);
  });
}

const OWN_401 = {
  'without a word': [''],
  'as a text': ['Unauthorized'],
  'in JSON of its own': [{ error: 'wrong SMS code' }],
  'with fields of other types': [{ action: { type: 'relogin' }, code: 401, detail: ['relogin'], requestId: 9 }],
  'as a list': ['[{"action":"relogin"}]'],
  'as a text in JSON': ['"relogin"'],
  'for another scheme': ['', { 'www-authenticate': 'Basic realm="Bearer, Bearer"' }],
  'for a scheme that begins so': ['', { 'www-authenticate': 'BearerX' }],
};

for (const [name, [body, header]] of Object.entries(OWN_401)) {
  test(`a 401 of a service's own, ${name}, is the caller's and costs no login`, async (t) => {
    const phone = takePhone();
    const service = await answering(t, [401, body, header]);
    const client = launch(phone, { services: [service] });
    await client.login();
    const token = tokenOf(phone);
    await assert.rejects(client.request({ url: service + '/sms', method: 'POST', data: { code: '1234' } }),
      { status: 401, code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 });
    assert.deepEqual(phone.seen.requests.slice(1), ['POST /sms 401']);
    assert.ok(tokenOf(phone) === token && phone.seen.logins === 1);
  });
}

const CHALLENGES = [
  [true, ['Bearer', 'bearer', 'BEARER', ' Bearer ', 'Bearer realm="wxlogin"', 'Bearer error="invalid_token", error_description="no"',
    'Basic realm="x", Bearer', 'Basic realm="a, b", Bearer realm="c"', 'Bearer, Basic realm="x"', 'Negotiate,Bearer',
    'Basic realm="a \\" b", bearer realm=c', 'Digest qop="auth", nonce=abc , Bearer', ', Bearer']],
  [false, ['', 'Basic', 'Basic realm="Bearer"', 'Basic realm="x, Bearer"', 'Basic realm="a \\", Bearer"', 'Digest bearer=x',
    'Digest realm="x", bearer="y"', 'Digest realm="x", bearer = "y"', 'Bearers', 'X-Bearer', 'Bearer-Token x', 'Basic realm="open, Bearer']],
];

for (const [isBearer, values] of CHALLENGES) {
  for (const value of values) {
    test(`WWW-Authenticate: ${value} is ${isBearer ? 'about the token' : 'about something else'}`, async () => {
      const phone = takePhone();
      const client = launch(phone);
      await client.login();
      const { request } = phone.wx;
      for (const name of ['WWW-Authenticate', 'www-authenticate', 'Www-authenticate', 'WWW-AUTHENTICATE']) {
        for (const header of [{ [name]: value }, { [name]: ['Negotiate', value] }, { Other: 'Bearer', [name]: value }]) {
          const before = phone.seen.logins;
          phone.wx.request = (options) => {
            if (!options.url.endsWith('/orders')) request(options);
            else options.success({ statusCode: 401, data: '', header });
          };
          await assert.rejects(client.request({ url: '/orders' }), { status: 401, action: isBearer ? 'relogin' : 'none' });
          assert.equal(phone.seen.logins - before, isBearer ? 1 : 0);
        }
      }
    });
  }
}

test('a refusal that the phone gives as a text is read', async () => {
  const phone = takePhone();
  plant(phone);
  const body = await launch(phone).request({ ...USER_INFO, dataType: 'text' });
  assert.equal(JSON.parse(body).status, 200);
  assert.deepEqual(phone.seen.requests, ['GET /userInfo 401', 'POST /onLogin 200', 'GET /userInfo 200']);
});

test('a 401 of a service\'s own during a logout stays the service\'s', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  const { request } = phone.wx;
  let answer;
  phone.wx.request = (options) => {
    if (options.url.endsWith('/sms')) answer = () => options.success({ statusCode: 401, data: { code: 'wrong_code' } });
    else request(options);
  };
  const own = client.request({ url: '/sms' });
  await new Promise(setImmediate);
  await client.logout();
  answer();
  await assert.rejects(own, { status: 401, code: 'wrong_code', action: 'none' });
});

test('a service that says 401 and not to log in is believed, whatever its header says', async (t) => {
  const phone = takePhone();
  const service = await answering(t, [401, { code: 'too_old', action: 'none' }, BEARER]);
  const client = launch(phone, { services: [service] });
  await assert.rejects(client.request({ url: service + '/orders' }), { status: 401, code: 'too_old', action: 'none' });
  assert.equal(phone.seen.logins, 1);
});

for (const [name, first, second] of [['relogin, then retry', RELOGIN, BUSY], ['retry, then relogin', BUSY, RELOGIN]]) {
  test(`${name}: each is tried`, async (t) => {
    const phone = takePhone();
    const service = await answering(t, first, second, [200, { orders: 3 }]);
    const client = launch(phone, { services: [service] });
    assert.deepEqual(await client.request({ url: service + '/orders' }), { status: 200, orders: 3 });
    assert.deepEqual([phone.seen.logins, client.waits], [2, [2]]);
  });

  test(`${name}: each is tried once`, async (t) => {
    for (const third of [first, second]) {
      const phone = takePhone();
      const service = await answering(t, first, second, third, [200, {}]);
      const client = launch(phone, { services: [service] });
      await assert.rejects(client.request({ url: service + '/orders' }), { status: third[0], action: third[1].action });
      assert.equal(phone.seen.requests.filter((request) => request.includes('/orders')).length, 3);
      assert.deepEqual([phone.seen.logins, client.waits], [2, [2]]);
    }
  });
}

test('a new call may try the same again', async (t) => {
  const phone = takePhone();
  const service = await answering(t, RELOGIN, [200, {}], RELOGIN, [200, {}]);
  const client = launch(phone, { services: [service] });
  await client.request({ url: service + '/orders' });
  await client.request({ url: service + '/orders' });
  assert.equal(phone.seen.logins, 3);
});

test('a code that is refused is replaced once', async (t) => {
  const phone = takePhone();
  const client = launch(phone, { server: await answering(t, USED_CODE, LOGIN) });
  assert.ok((await client.login()).isNewUser);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 400', 'POST /onLogin 200']);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost, client.waits.length], [2, 1, 0]);
});

test('codes that are refused for ever are told', async (t) => {
  const phone = takePhone();
  const client = launch(phone, { server: await answering(t, USED_CODE) });
  await assert.rejects(client.login(), { status: 400, code: 'invalid_code', action: 'relogin' });
  assert.equal(phone.seen.logins, 2);
  await assert.rejects(client.login(), { code: 'invalid_code' });
  assert.equal(phone.seen.logins, 4); // another call tries anew
});

for (const [name, answers] of [
  ['busy, then a refused code', [BUSY_LOGIN, USED_CODE, LOGIN]],
  ['a refused code, then busy', [USED_CODE, BUSY_LOGIN, LOGIN]],
]) {
  test(`a login may meet both: ${name}, with a new code each time`, async (t) => {
    const phone = takePhone();
    const client = launch(phone, { server: await answering(t, ...answers) });
    const codes = new Set();
    const { request } = phone.wx;
    phone.wx.request = (options) => { codes.add(options.data.code); request(options); };
    await client.login();
    assert.deepEqual([phone.seen.logins, codes.size, client.waits], [3, 3, [3]]);
  });
}

test('a relogin that fails is told in the place of the refusal', async (t) => {
  const phone = takePhone();
  const blocked = [403, { code: 'user_blocked', action: 'none' }];
  const client = launch(phone, { server: await answering(t, LOGIN, RELOGIN, blocked) });
  await assert.rejects(client.request(USER_INFO), { status: 403, code: 'user_blocked' });
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'GET /userInfo 401', 'POST /onLogin 403']);
  assert.ok(tokenOf(phone) === '');
});
