// Answers that are not the server's, odd arguments, and what a Problem contains and does not contain.

const assert = require('node:assert/strict');
const test = require('node:test');
const { inspect } = require('node:util');
const { stopClock } = require('./clock.js');
const { launch, watch, answerWith } = require('./phone.js');
const {
  UNKNOWN_TOKEN, SHOP, NOTHING_KNOWN, USER_INFO, logIn, ask, logOut, logOutEverywhere, goAway, answering, failing, newPhone,
  openPhone, check, kept, tokenOf,
} = require('./session.js');

const NOT_OURS = { code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 };

const CALLS = {
  login: logIn,
  updateUserInfo: ({ client }) => client.updateUserInfo(),
  'saveProfile, of a name': ({ client }) => client.saveProfile({ nickName: '小明' }),
  'saveProfile, of a picture': async ({ client, device }) => (
    client.saveProfile({ avatarFile: (await device.chooseAvatar()).avatarUrl })),
  bindPhone: async ({ client, device }) => client.bindPhone(await device.getPhoneNumber()),
  logout: logOut,
  'logout everywhere': logOutEverywhere,
};

// --- Answers that are not the server's.

for (const [name, status, body, type = 'application/json'] of [
  ['a hotel\'s page with status 200', 200, '<html><title>Welcome to our hotel</title></html>', 'text/html'],
  ['a proxy\'s page with status 502', 502, '<html>Bad Gateway</html>', 'text/html'],
  ['nothing at all', 200, ''],
  ['JSON without a status', 200, JSON.stringify({ token: UNKNOWN_TOKEN, expiresIn: 3600 })],
  ['JSON with another status', 200, JSON.stringify({ status: 201, token: UNKNOWN_TOKEN })],
  ['JSON with a status that is a text', 200, JSON.stringify({ status: '200', token: UNKNOWN_TOKEN })],
  ['null', 200, 'null'],
  ['a number', 200, '200'],
  ['a list', 200, '[200]'],
  ['a failure in its body alone', 500, '[]'],
]) {
  const answer = answering('*', [status, body, { 'content-type': type }]);

  check(`a first login that is answered with ${name} is a failure, and keeps nothing`, newPhone, [
    answer, failing(logIn, { ...NOT_OURS, status }), (phone) => assert.equal(kept(phone), undefined),
  ], { requests: [`POST /onLogin ${status}`] });

  for (const [call, step] of Object.entries(CALLS)) {
    check(`${call} answered with ${name} is a failure`, openPhone, [
      answer, failing(step, { ...NOT_OURS, status }), ({ seen }) => assert.equal(seen.requests.length, 1),
    ], { logins: 0, token: call.startsWith('logout') ? '' : 'same' });
  }
}

for (const [call, step] of Object.entries(CALLS)) {
  check(`without a network, ${call} is a failure`, openPhone, [goAway, step],
    { fails: { status: 0, code: 'network', action: 'none', retryAfter: 0 }, logins: 0 });
}

check('a 401 to a login that says nothing of tokens is not repeated', newPhone,
  [answering('POST /onLogin', [401, 'Unauthorized']), logIn],
  { fails: { status: 401, code: 'unknown', action: 'none' }, requests: ['POST /onLogin 401'], logins: 1 });

for (const action of ['dance', 'constructor', '__proto__']) {
  check(`unknown advice (${action}) is handed on`, newPhone, [answering('POST /onLogin', [503, { code: 'new', action }]), logIn],
    { fails: { status: 503, code: 'new', action, retryAfter: 0 }, logins: 1 });
}

const NO_LOGIN = { status: 200, code: 'unknown', action: 'none' };

for (const token of [undefined, null, '', 7, {}, 'a\nb', '令牌', 'x'.repeat(1000)]) {
  check(`a login with the token ${JSON.stringify(token)} is a failure, and keeps nothing`, newPhone, [
    answering('*', [200, { ...NOTHING_KNOWN, token, expiresIn: 3600 }]),
    failing(logIn, NO_LOGIN), failing(logOutEverywhere, NO_LOGIN),
  ], { token: '' });
}

// --- Fields that are missing or of another type.

for (const [expiresIn, seconds] of [
  ...[undefined, null, 0, -1, NaN, Infinity, 'a week', {}].map((value) => [value, 3600]), ['7200', 7200],
]) {
  test(`a token whose lifetime is ${JSON.stringify(expiresIn)} is used for ${seconds} s`, async (t) => {
    const clock = stopClock(t);
    const phone = newPhone();
    const calls = answerWith(phone.wx, 'request', { statusCode: 200, data: { status: 200, token: UNKNOWN_TOKEN, expiresIn } });
    await logIn(phone);
    assert.equal(kept(phone).expiresAt, clock.now() + seconds * 1000);
    for (const passed of [seconds - 1, seconds - 1, seconds - 1, seconds]) {
      assert.equal(phone.seen.logins, 1);
      clock.pass(passed);
      await ask(phone);
    }
    assert.deepEqual([phone.seen.logins, calls.length], [2, 6]);
  });
}

for (const odd of [undefined, null, 7, [], 'text']) {
  test(`an answer whose fields are ${JSON.stringify(odd)} has the types that it should have`, async () => {
    const phone = await openPhone();
    const stranger = newPhone();
    const data = { status: 200, token: UNKNOWN_TOKEN, userInfo: odd, profileComplete: odd, isNewUser: odd, anonymous: odd,
      phoneNumber: odd === 'text' ? null : odd, countryCode: odd === 'text' ? 86 : odd };
    for (const { wx } of [phone, stranger]) {
      answerWith(wx, 'request', { statusCode: 200, data });
      answerWith(wx, 'uploadFile', { statusCode: 200, data: JSON.stringify(data) });
    }
    const { client } = phone;
    for (const { client: each } of [phone, stranger]) assert.deepEqual(await each.login(), { ...NOTHING_KNOWN, isNewUser: false });
    assert.deepEqual(await client.updateUserInfo(), { ...NOTHING_KNOWN, anonymous: false });
    assert.deepEqual(await client.saveProfile({ nickName: '小明', avatarFile: 'wxfile://a' }), NOTHING_KNOWN);
    assert.deepEqual(await client.bindPhone({ code: 'c' }), { phoneNumber: '', countryCode: '' });
  });
}

for (const [name, data] of Object.entries({
  'an empty text': '', 'a text': 'gone', null: null, undefined, 'a list': [1], 'a number': 7, 'an ArrayBuffer': new ArrayBuffer(2),
})) {
  check(`a service may answer ${name}`, openPhone, async ({ client, wx }) => {
    answerWith(wx, 'request', { statusCode: 204, data }, { statusCode: 403, data }, { statusCode: 429, data });
    assert.deepEqual(await client.request({ url: '/orders' }), data);
    for (const status of [403, 429]) await assert.rejects(client.request({ url: '/orders' }), { ...NOT_OURS, status });
  });
}

const ODD_FIELDS = { code: 40001, action: { name: 'relogin' }, detail: { why: 'x' }, requestId: 7 };

for (const status of [400, 403, 422, 429, 500]) {
  check(`a service's fields of other types (${status}) are not taken for a problem's`, openPhone, [
    answering('*', [status, { ...ODD_FIELDS, status: 'x' }, { 'Retry-After': '3' }]),
    failing(ask, { ...NOT_OURS, status }), failing(({ client }) => client.bindPhone({ code: 'c' }), { ...NOT_OURS, status }),
  ], { logins: 0, token: 'same' });
}

check('an answer without a status is none, and a status that is a text is read', openPhone, async ({ client, wx }) => {
  for (const statusCode of [undefined, null, 0, NaN, 'x', {}]) {
    answerWith(wx, 'request', { statusCode, data: { status: 200 }, errMsg: 'request:ok' });
    await assert.rejects(client.request(USER_INFO), { status: 0, code: 'network', detail: 'request:ok' });
    answerWith(wx, 'uploadFile', { statusCode, data: '' });
    await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://a' }), { status: 0, code: 'network', detail: '' });
  }
  answerWith(wx, 'uploadFile', { statusCode: '200', data: '{"status":200,"profileComplete":true}' });
  assert.equal((await client.saveProfile({ avatarFile: 'wxfile://a' })).profileComplete, true);
});

// --- Problems.

function isProblem(err) {
  const { status, code, action, detail, requestId, retryAfter } = err;
  assert.ok(err instanceof Error);
  assert.deepEqual([status, code, action, detail, requestId, retryAfter].map((value) => typeof value),
    ['number', 'string', 'string', 'string', 'string', 'number']);
  return true;
}

check('odd arguments never throw, and what rejects is a Problem', openPhone, async ({ client }) => {
  for (const odd of [undefined, null, 0, 7, '', 'text', true, [], [1], {}, () => {}]) {
    await client.login(odd);
    for (const call of [
      () => client.request(odd), () => client.request({ url: odd }), () => client.saveProfile(odd),
      () => client.saveProfile({ avatarFile: odd }), () => client.bindPhone(odd), () => client.bindPhone({ code: odd }),
      () => client.chosenAvatar(odd),
    ]) await call().catch(isProblem);
    await client.logout(odd);
  }
});

check('a Problem has everything that the server said', openPhone, async ({ client }) => {
  const problem = await client.request({ url: '/nowhere' }).then(assert.fail, (err) => err);
  assert.ok(isProblem(problem));
  assert.deepEqual([problem.status, problem.code, problem.action, problem.retryAfter], [404, 'not_found', 'none', 0]);
  assert.equal(problem.message, 'wxlogin: not_found');
  assert.match(problem.requestId, /^[0-9a-f]{32}$/);
  assert.match(problem.detail, /^[A-Z].*\.$/);
});

/** whole is everything of a problem that a program may print or report. */
function whole(problem) {
  return [problem.stack, inspect(problem, { depth: 9, showHidden: true }), JSON.stringify(problem)].join('\n');
}

test('no Problem contains a token, a code or a phone number', async () => {
  const phone = newPhone();
  const { net, wx, device } = phone;
  const codes = [];
  const { login } = wx;
  wx.login = (options) => login({ ...options, success: (res) => { codes.push(res.code); options.success(res); } });
  const problems = [];
  const fails = (promise) => promise.then(assert.fail, (problem) => problems.push(problem));

  net.answer('POST /onLogin', [503, { code: 'wechat_unavailable', action: 'retry' }]);
  await fails(phone.client.login());
  net.answer('POST /onLogin', [400, { code: 'invalid_code', action: 'relogin' }]);
  await fails(launch(phone).login());
  net.clear();
  const client = launch(phone);
  await client.login();
  const token = tokenOf(phone);
  const detail = await device.getPhoneNumber();
  await client.bindPhone(detail);
  await fails(client.bindPhone(detail));
  await fails(client.request({ url: '/nowhere', method: 'POST', data: detail }));
  await fails(client.request({ url: SHOP + '/?token=' + token }));
  net.away = true;
  await fails(client.request(USER_INFO));
  await fails(client.saveProfile({ nickName: '小明' }));
  await fails(client.logout());
  await fails(client.request(USER_INFO));

  assert.equal(problems.length, 9);
  assert.ok(codes.length >= 4);
  for (const problem of problems) {
    for (const secret of [token, detail.code, ...codes]) assert.ok(!whole(problem).includes(secret), problem.code);
  }
});

test('wx gets callbacks, so that no promise of it is forgotten', async () => {
  const { wx, client } = newPhone();
  const [logins, requests] = ['login', 'request'].map((name) => watch(wx, name));
  await client.login();
  for (const { success, fail } of [...logins, ...requests]) {
    assert.deepEqual([typeof success, typeof fail], ['function', 'function']);
  }
  assert.deepEqual([logins.length, requests.length], [1, 1]);
});
