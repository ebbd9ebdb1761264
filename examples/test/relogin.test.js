// A token or a code that is refused: one login for all callers, one repeat, and only if the answer is about the token.

const assert = require('node:assert/strict');
const { watch } = require('./phone.js');
const {
  SHOP, UNKNOWN_TOKEN, LOGIN, GET_USER, USER_INFO, newPhone, openPhone, shopPhone, planted, check, tokenOf, end,
} = require('./session.js');

const RELOGIN = [401, { code: 'invalid_token', action: 'relogin' }];
const BUSY = [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }];
const USED_CODE = [400, { code: 'invalid_code', action: 'relogin' }];
const BUSY_LOGIN = [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '3' }];
const LOGGED_IN = [200, { token: UNKNOWN_TOKEN, expiresIn: 3600, isNewUser: true, profileComplete: false, userInfo: {} }];
const ORDERS = [200, { orders: 3 }];
const OWN = { status: 401, code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 };

const phoneAnswered = (...answers) => () => {
  const phone = newPhone();
  phone.net.answer('POST /onLogin', ...answers);
  return phone;
};

const times = (n, request) => Array(n).fill(request);

async function askTwentyTimes({ client }) {
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.request(USER_INFO)));
  assert.ok(answers.every(({ status }) => status === 200));
}

check('twenty requests at once on a fresh phone take one code', newPhone, askTwentyTimes,
  { requests: [LOGIN, ...times(20, GET_USER)], logins: 1 });

check('twenty requests with a token that has ended take one code together', openPhone, async (phone) => {
  await end(phone.token);
  await askTwentyTimes(phone);
  phone.seen.requests.sort();
}, { requests: [...times(20, GET_USER), ...times(20, 'GET /userInfo 401'), LOGIN], logins: 1, token: 'new' });

check('login, profile and requests with a token that has ended take one code together', () => (
  planted({}, { loggedIn: true })
), async ({ client, device, seen }) => {
  await Promise.all([
    client.login(), client.request(USER_INFO), client.updateUserInfo(), client.saveProfile({ nickName: '小明' }),
    client.bindPhone(await device.getPhoneNumber()), client.login(), client.request(USER_INFO),
  ]);
  for (const once of [LOGIN, 'POST /bindPhone 200']) assert.equal(seen.requests.filter((one) => one === once).length, 1);
}, { logins: 1 });

check('a late refusal of the old token does not cost a second login', planted, async (phone) => {
  const ask = () => phone.client.request(USER_INFO);
  let newer;
  const late = await phone.net.whileAnswerHeld('/userInfo', ask, () => ask().then(() => { newer = tokenOf(phone); }));
  assert.equal(late.status, 200);
  assert.ok(tokenOf(phone) === newer);
}, { logins: 1 });

check('the repeat goes with the new token', planted, async (phone) => {
  const sent = watch(phone.wx, 'request');
  await phone.client.request(USER_INFO);
  const [first, second, ...more] = sent.filter(({ url }) => url.endsWith('/userInfo')).map(({ header }) => header.Authorization);
  assert.ok(first === 'Bearer ' + UNKNOWN_TOKEN && second === 'Bearer ' + tokenOf(phone) && more.length === 0);
});

// --- Which 401 is about the token, by its body and headers.

const BEARER = { 'www-authenticate': 'Bearer' };

for (const [name, isAboutToken, body, header] of [
  ['as the server says it', true, { code: 'invalid_token', action: 'relogin' }],
  ['with the header alone', true, '', BEARER],
  ['with the header and a text', true, 'Unauthorized', BEARER],
  ['with the header and JSON of its own', true, { error: 'unauthorized' }, BEARER],
  ['with the header and an action that is not text', true, { action: 7, code: 8 }, BEARER],
  ['with the header and an action of its own', true, { action: 'show_page' }, BEARER],
  ['with the action, and a header about something else', true, { action: 'relogin' }, { 'www-authenticate': 'Basic realm="x"' }],
  ['with nothing', false, ''],
  ['as a text', false, 'Unauthorized'],
  ['in JSON of its own', false, { error: 'wrong SMS code' }],
  ['with fields of other types', false, { action: { type: 'relogin' }, code: 401, detail: ['relogin'], requestId: 9 }],
  ['as a list', false, '[{"action":"relogin"}]'],
  ['as a text in JSON', false, '"relogin"'],
  ['for another scheme', false, '', { 'www-authenticate': 'Basic realm="Bearer, Bearer"' }],
  ['for a scheme that begins so', false, '', { 'www-authenticate': 'BearerX' }],
]) {
  check(`a service's 401 ${name} ${isAboutToken ? 'gets one repeat' : 'is the caller\'s and costs no login'}`, shopPhone.bind(null, []),
    ({ client, net }) => {
      net.answer('POST /sms', [401, body, header]);
      return client.request({ url: SHOP + '/sms', method: 'POST', data: { code: '1234' } });
    }, isAboutToken
      ? { fails: { status: 401, action: 'relogin', retryAfter: 0 }, requests: ['POST /sms 401', LOGIN, 'POST /sms 401'], logins: 1 }
      : { fails: OWN, requests: ['POST /sms 401'], logins: 0, token: 'same' });
}

check('a service that says 401 and not to log in is believed, whatever its header says', () => (
  shopPhone([[401, { code: 'too_old', action: 'none' }, BEARER]])
), ({ order }) => order(), { fails: { status: 401, code: 'too_old', action: 'none' }, logins: 0 });

for (const [isBearer, values] of [
  [true, ['Bearer', 'bearer', 'BEARER', ' Bearer ', 'Bearer realm="wxlogin"', 'Bearer error="invalid_token", error_description="no"',
    'Basic realm="x", Bearer', 'Basic realm="a, b", Bearer realm="c"', 'Bearer, Basic realm="x"', 'Negotiate,Bearer',
    'Basic realm="a \\" b", bearer realm=c', 'Digest qop="auth", nonce=abc , Bearer', ', Bearer']],
  [false, ['', 'Basic', 'Basic realm="Bearer"', 'Basic realm="x, Bearer"', 'Basic realm="a \\", Bearer"', 'Digest bearer=x',
    'Digest realm="x", bearer="y"', 'Digest realm="x", bearer = "y"', 'Bearers', 'X-Bearer', 'Bearer-Token x', 'Basic realm="open, Bearer']],
]) {
  for (const value of values) {
    check(`WWW-Authenticate: ${value} is ${isBearer ? '' : 'not '}about the token`, openPhone, async ({ client, wx, seen }) => {
      const { request } = wx;
      for (const name of ['WWW-Authenticate', 'www-authenticate', 'Www-authenticate', 'WWW-AUTHENTICATE']) {
        for (const header of [{ [name]: value }, { [name]: ['Negotiate', value] }, { Other: 'Bearer', [name]: value }]) {
          seen.logins = 0;
          wx.request = (options) => {
            if (!options.url.endsWith('/orders')) request(options);
            else options.success({ statusCode: 401, data: '', header });
          };
          await assert.rejects(client.request({ url: '/orders' }), { status: 401, action: isBearer ? 'relogin' : 'none' });
          assert.equal(seen.logins, isBearer ? 1 : 0);
        }
      }
    });
  }
}

check('a refusal that the phone gives as a text is read', planted, async ({ client }) => {
  assert.equal(JSON.parse(await client.request({ ...USER_INFO, dataType: 'text' })).status, 200);
}, { requests: ['GET /userInfo 401', LOGIN, GET_USER] });

check('a 401 of a service\'s own during a logout stays the service\'s', () => shopPhone([[401, { code: 'wrong_code' }]]),
  ({ client, net, order }) => net.whileAnswerHeld('/orders', order, () => client.logout()),
  { fails: { status: 401, code: 'wrong_code', action: 'none' } });

// --- Both remedies, once each.

for (const [name, first, second] of [['relogin, then retry', RELOGIN, BUSY], ['retry, then relogin', BUSY, RELOGIN]]) {
  check(`${name}: each is tried`, () => shopPhone([first, second, ORDERS]), ({ order }) => order(),
    { gives: { status: 200, orders: 3 }, logins: 1, waits: [2] });

  for (const third of [first, second]) {
    check(`${name}: each is tried once, and ${third[0]} is then reported`, () => shopPhone([first, second, third, ORDERS]),
      async ({ order, seen }) => {
        await assert.rejects(order(), { status: third[0], action: third[1].action });
        assert.equal(seen.requests.filter((request) => request.includes('/orders')).length, 3);
      }, { logins: 1, waits: [2] });
  }
}

check('a new call may try the same again', () => shopPhone([RELOGIN, ORDERS, RELOGIN, ORDERS]), async ({ order }) => {
  await order();
  await order();
}, { logins: 2 });

check('a code that is refused is replaced once', phoneAnswered(USED_CODE, LOGGED_IN), async ({ client }) => {
  assert.ok((await client.login()).isNewUser);
}, { requests: ['POST /onLogin 400', LOGIN], logins: 2 });

check('codes that are always refused are reported, and another call tries again', phoneAnswered(USED_CODE), async ({ client, seen }) => {
  await assert.rejects(client.login(), { status: 400, code: 'invalid_code', action: 'relogin' });
  assert.equal(seen.logins, 2);
  await assert.rejects(client.login(), { code: 'invalid_code' });
}, { logins: 4 });

for (const [name, ...answers] of [
  ['busy, then a refused code', BUSY_LOGIN, USED_CODE, LOGGED_IN], ['a refused code, then busy', USED_CODE, BUSY_LOGIN, LOGGED_IN],
]) {
  check(`a login may meet both: ${name}, with a new code each time`, phoneAnswered(...answers), async ({ client, wx }) => {
    const sent = watch(wx, 'request');
    await client.login();
    assert.equal(new Set(sent.map(({ data }) => data.code)).size, 3);
  }, { logins: 3, waits: [3] });
}

check('a relogin that fails is reported instead of the refusal', openPhone, async ({ client, net }) => {
  net.answer('GET /userInfo', RELOGIN);
  net.answer('POST /onLogin', [403, { code: 'user_blocked', action: 'none' }]);
  await client.request(USER_INFO);
}, { fails: { status: 403, code: 'user_blocked' }, requests: ['GET /userInfo 401', 'POST /onLogin 403'], token: '' });
