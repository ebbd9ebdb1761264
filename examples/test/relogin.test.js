// A token or a code that is refused: one login for all callers, one repeat, and only if the answer is about the token.

const assert = require('node:assert/strict');
const { watch } = require('./phone.js');
const {
  SHOP, UNKNOWN_TOKEN, LOGIN, GET_USER, BIND, USER_INFO, NOT_OURS, logIn, ask, update, save, bind, order, logOut, endSession,
  answering, failing, atOnce, times, whileAnswer, newPhone, openPhone, shopPhone, planted, check, checks, tokenOf,
} = require('./session.js');

const RELOGIN = [401, { code: 'invalid_token', action: 'relogin' }];
const BUSY = [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }];
const USED_CODE = [400, { code: 'invalid_code', action: 'relogin' }];
const BUSY_LOGIN = [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '3' }];
const LOGGED_IN = [200, { token: UNKNOWN_TOKEN, expiresIn: 3600, isNewUser: true, profileComplete: false, userInfo: {} }];
const ORDERS = [200, { orders: 3 }];

check('twenty requests with a token that has ended take one code together', openPhone, [endSession, async (phone) => {
  assert.ok((await times(20, ask)(phone)).every(({ status }) => status === 200));
  phone.seen.requests.sort();
}], { requests: [...Array(20).fill(GET_USER), ...Array(20).fill('GET /userInfo 401'), LOGIN], logins: 1, token: 'new' });

check('login, profile and requests with a token that has ended take one code together', planted(), async (phone) => {
  const binding = bind(await phone.device.getPhoneNumber());
  await atOnce(logIn, ask, update, save({ nickName: '小明' }), binding, logIn, ask)(phone);
  for (const once of [LOGIN, BIND]) assert.equal(phone.seen.requests.filter((one) => one === once).length, 1);
}, { logins: 1 });

checks(planted(), {
  'a late refusal of the old token does not cost a second login': [async (phone) => {
    let newer;
    const late = await whileAnswer('/userInfo', ask, () => ask(phone).then(() => { newer = tokenOf(phone); }))(phone);
    assert.equal(late.status, 200);
    assert.ok(tokenOf(phone) === newer);
  }, { logins: 1 }],
  'the repeat goes with the new token': [async (phone) => {
    const sent = watch(phone.wx, 'request');
    await ask(phone);
    const tokens = sent.filter(({ url }) => url.endsWith('/userInfo')).map(({ header }) => header.Authorization);
    assert.equal(tokens.length, 2);
    assert.ok(tokens[0] === 'Bearer ' + UNKNOWN_TOKEN && tokens[1] === 'Bearer ' + tokenOf(phone));
  }],
  'a refusal that the phone gives as a text is read': [async ({ client }) => {
    assert.equal(JSON.parse(await client.request({ ...USER_INFO, dataType: 'text' })).status, 200);
  }, { requests: ['GET /userInfo 401', LOGIN, GET_USER] }],
});

// --- Which 401 is about the token, by its body and headers.

const BEARER = { 'www-authenticate': 'Bearer' };
const ASKED_TWICE = {
  fails: { status: 401, action: 'relogin', retryAfter: 0 }, requests: ['POST /sms 401', LOGIN, 'POST /sms 401'], logins: 1,
};
const ASKED_ONCE = { fails: { ...NOT_OURS, status: 401 }, requests: ['POST /sms 401'], logins: 0, token: 'same' };

for (const [expected, body, header = {}] of [
  [ASKED_TWICE, { code: 'invalid_token', action: 'relogin' }],
  [ASKED_TWICE, '', BEARER],
  [ASKED_TWICE, 'Unauthorized', BEARER],
  [ASKED_TWICE, { error: 'unauthorized' }, BEARER],
  [ASKED_TWICE, { action: 7, code: 8 }, BEARER],
  [ASKED_TWICE, { action: 'show_page' }, BEARER],
  [ASKED_TWICE, { action: 'relogin' }, { 'www-authenticate': 'Basic realm="x"' }],
  [ASKED_ONCE, ''],
  [ASKED_ONCE, 'Unauthorized'],
  [ASKED_ONCE, { error: 'wrong SMS code' }],
  [ASKED_ONCE, { action: { type: 'relogin' }, code: 401, detail: ['relogin'], requestId: 9 }],
  [ASKED_ONCE, '[{"action":"relogin"}]'],
  [ASKED_ONCE, '"relogin"'],
]) {
  const about = expected === ASKED_TWICE ? 'gets one repeat' : 'is the caller\'s and costs no login';
  check(`a service's 401 with ${JSON.stringify([body, header])} ${about}`, shopPhone(), [
    answering('POST /sms', [401, body, header]),
    ({ client }) => client.request({ url: SHOP + '/sms', method: 'POST', data: { code: '1234' } }),
  ], expected);
}

check('a service that says 401 and not to log in is believed, whatever its header says',
  shopPhone([401, { code: 'too_old', action: 'none' }, BEARER]), order,
  { fails: { status: 401, code: 'too_old', action: 'none' }, logins: 0 });

for (const [isBearer, values] of [
  [true, ['Bearer', 'bearer', 'BEARER', ' Bearer ', 'Bearer realm="wxlogin"', 'Bearer error="invalid_token", error_description="no"',
    'Basic realm="x", Bearer', 'Basic realm="a, b", Bearer realm="c"', 'Bearer, Basic realm="x"', 'Negotiate,Bearer',
    'Basic realm="a \\" b", bearer realm=c', 'Digest qop="auth", nonce=abc , Bearer', ', Bearer']],
  [false, ['', 'Basic', 'Basic realm="Bearer"', 'Basic realm="x, Bearer"', 'Basic realm="a \\", Bearer"', 'Digest bearer=x',
    'Digest realm="x", bearer="y"', 'Digest realm="x", bearer = "y"', 'Bearers', 'BearerX', 'X-Bearer', 'Bearer-Token x',
    'Basic realm="Bearer, Bearer"', 'Basic realm="open, Bearer']],
]) {
  for (const value of values) {
    check(`WWW-Authenticate: ${value} is ${isBearer ? '' : 'not '}about the token`, planted(), async ({ client, wx, net, seen }) => {
      net.answer('POST /onLogin', LOGGED_IN);
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

check('a 401 of a service\'s own during a logout stays the service\'s', shopPhone([401, { code: 'wrong_code' }]),
  whileAnswer('/orders', order, logOut), { fails: { status: 401, code: 'wrong_code', action: 'none' } });

// --- Both remedies, once each.

const threeOrders = ({ seen }) => assert.equal(seen.requests.filter((request) => request.includes('/orders')).length, 3);

for (const [name, first, second] of [['relogin, then retry', RELOGIN, BUSY], ['retry, then relogin', BUSY, RELOGIN]]) {
  check(`${name}: each is tried`, shopPhone(first, second, ORDERS), order,
    { gives: { status: 200, orders: 3 }, logins: 1, waits: [2] });
  for (const third of [first, second]) {
    check(`${name}: each is tried once, and ${third[0]} is then reported`, shopPhone(first, second, third, ORDERS),
      [failing(order, { status: third[0], action: third[1].action }), threeOrders], { logins: 1, waits: [2] });
  }
}

check('a new call may try the same again', shopPhone(RELOGIN, ORDERS, RELOGIN, ORDERS), [order, order], { logins: 2 });

checks(newPhone, {
  'a code that is refused is replaced once': [[answering('POST /onLogin', USED_CODE, LOGGED_IN), async (phone) => {
    assert.ok((await logIn(phone)).isNewUser);
  }], { requests: ['POST /onLogin 400', LOGIN], logins: 2 }],
  'codes that are always refused are reported, and another call tries again': [[
    answering('POST /onLogin', USED_CODE), failing(logIn, { status: 400, code: 'invalid_code', action: 'relogin' }),
    ({ seen }) => assert.equal(seen.logins, 2), failing(logIn, { code: 'invalid_code' }),
  ], { logins: 4 }],
});

for (const answers of [[BUSY_LOGIN, USED_CODE, LOGGED_IN], [USED_CODE, BUSY_LOGIN, LOGGED_IN]]) {
  check(`a login may be answered with ${answers.map(([status]) => status)}, with a new code each time`, newPhone, async (phone) => {
    phone.net.answer('POST /onLogin', ...answers);
    const sent = watch(phone.wx, 'request');
    await logIn(phone);
    assert.equal(new Set(sent.map(({ data }) => data.code)).size, 3);
  }, { logins: 3, waits: [3] });
}

check('a relogin that fails is reported instead of the refusal', openPhone, [
  answering('GET /userInfo', RELOGIN), answering('POST /onLogin', [403, { code: 'user_blocked', action: 'none' }]), ask,
], { fails: { status: 403, code: 'user_blocked' }, requests: ['GET /userInfo 401', 'POST /onLogin 403'], token: '' });
