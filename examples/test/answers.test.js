// Answers that are not the server's, odd arguments, and what a Problem contains and does not contain.

const assert = require('node:assert/strict');
const { inspect } = require('node:util');
const { launch, answerWith } = require('./phone.js');
const {
  UNKNOWN_TOKEN, SHOP, NOTHING_KNOWN, NOT_OURS, USER_INFO, CALLS, logIn, ask, update, save, bind, logOut, logOutEverywhere, goAway,
  stop, relaunch, answering, failing, giving, newPhone, openPhone, planted, check, kept, tokenOf,
} = require('./session.js');

/** loginsOf is how often a call with a token calls wx.login. */
const loginsOf = (call) => (call === 'login, fresh' ? 1 : 0);

// --- Answers that are not the server's.

for (const [status, body, type = 'application/json'] of [
  [200, '<html>Welcome to our hotel</html>', 'text/html'], [502, '<html>Bad Gateway</html>', 'text/html'], [200, ''],
  [200, JSON.stringify({ token: UNKNOWN_TOKEN, expiresIn: 3600 })], [200, JSON.stringify({ status: 201, token: UNKNOWN_TOKEN })],
  [200, JSON.stringify({ status: '200', token: UNKNOWN_TOKEN })], [200, 'null'], [200, '200'], [200, '[200]'], [500, '[]'],
]) {
  const answer = answering('*', [status, body, { 'content-type': type }]);

  check(`a first login that is answered with ${status} ${body} is a failure, and keeps nothing`, newPhone, [
    answer, failing(logIn, { ...NOT_OURS, status }), (phone) => assert.equal(kept(phone), undefined),
  ], { requests: [`POST /onLogin ${status}`] });

  const { request, uploadFile, downloadFile, token, ...others } = CALLS; // without these, which take any body, or ask nothing
  for (const [call, step] of Object.entries(others)) {
    check(`${call} answered with ${status} ${body} is a failure`, planted(), [
      answer, failing(step, { ...NOT_OURS, status }), ({ seen }) => assert.equal(seen.requests.length, 1),
    ], { logins: loginsOf(call), token: call.startsWith('logout') ? '' : 'same' });
  }
}

for (const [call, step] of Object.entries(CALLS).filter(([name]) => name !== 'token')) {
  check(`without a network, ${call} is a failure`, planted(), [goAway, step],
    { fails: { status: 0, code: 'network', action: 'none', retryAfter: 0 }, logins: loginsOf(call) });
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
  check(`a token whose lifetime is ${JSON.stringify(expiresIn)} is used for ${seconds} s`, newPhone, [stop, async (phone) => {
    const calls = answerWith(phone.wx, 'request', { statusCode: 200, data: { status: 200, token: UNKNOWN_TOKEN, expiresIn } });
    await logIn(phone);
    assert.equal(kept(phone).expiresAt, phone.clock.now() + seconds * 1000);
    for (const passed of [seconds - 1, seconds - 1, seconds - 1, seconds]) {
      assert.equal(phone.seen.logins, 1);
      phone.clock.pass(passed);
      await ask(phone);
    }
    assert.equal(calls.length, 6);
  }], { logins: 2 });
}

for (const odd of [undefined, null, 7, [], 'text']) {
  const data = { status: 200, token: UNKNOWN_TOKEN, userInfo: odd, profileComplete: odd, isNewUser: odd, anonymous: odd,
    phoneNumber: odd === 'text' ? null : odd, countryCode: odd === 'text' ? 86 : odd };
  const odds = ({ wx }) => {
    answerWith(wx, 'request', { statusCode: 200, data });
    answerWith(wx, 'uploadFile', { statusCode: 200, data: JSON.stringify(data) });
  };
  const login = giving(logIn, { ...NOTHING_KNOWN, isNewUser: false });
  check(`an answer whose fields are ${JSON.stringify(odd)} has the types that it should have`, planted(), [
    odds, login, giving(update, { ...NOTHING_KNOWN, anonymous: false }),
    giving(save({ nickName: '小明', avatarFile: 'wxfile://a' }), NOTHING_KNOWN),
    giving(bind({ code: 'c' }), { phoneNumber: '', countryCode: '' }),
    ({ device }) => device.storage.clear(), relaunch, login,
  ]);
}

for (const status of [400, 403, 422, 429, 500]) {
  const fields = { code: 40001, action: { name: 'relogin' }, detail: { why: 'x' }, requestId: 7, status: 'x' };
  check(`a service's fields of other types (${status}) are not taken for a problem's`, planted(), [
    answering('*', [status, fields, { 'Retry-After': '3' }]),
    failing(ask, { ...NOT_OURS, status }), failing(bind({ code: 'c' }), { ...NOT_OURS, status }),
  ], { logins: 0, token: 'same' });
}

check('an answer without a status is none, and a status that is a text is read', planted(), async ({ client, wx }) => {
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

function assertProblem(err) {
  const { name, status, code, action, detail, requestId, retryAfter } = err;
  assert.ok(err instanceof Error);
  assert.equal(name, 'WxloginProblem');
  assert.deepEqual([status, code, action, detail, requestId, retryAfter].map((value) => typeof value),
    ['number', 'string', 'string', 'string', 'string', 'number']);
}

check('odd arguments never throw, and what rejects is a Problem', openPhone, async ({ client }) => {
  for (const odd of [undefined, null, 0, 7, '', 'text', true, [], [1], {}, () => {}]) {
    await client.login(odd);
    for (const call of [
      () => client.request(odd), () => client.request({ url: odd }), () => client.saveProfile(odd),
      () => client.saveProfile({ avatarFile: odd }), () => client.bindPhone(odd), () => client.bindPhone({ code: odd }),
      () => client.chosenAvatar(odd), () => client.token(odd), () => client.token({ refused: odd }), () => client.uploadFile(odd),
      () => client.uploadFile({ url: '/uploadAvatar', filePath: odd }), () => client.downloadFile(odd),
    ]) await call().catch(assertProblem);
    await client.logout(odd);
  }
});

check('a Problem is known as one, also that of another copy of the client', newPhone, [goAway, async (phone) => {
  const { Problem, isProblem } = phone.client;
  const problem = await logIn(phone).catch((err) => err);
  const another = await logIn({ client: launch(phone) }).catch((err) => err);
  assert.ok(problem instanceof Problem && !(another instanceof Problem));
  const transpiled = Object.assign(new Error(), { ...problem }); // what super() leaves of a Problem in ES5
  for (const each of [problem, another, transpiled, new Problem()]) assert.ok(isProblem(each));
  for (const other of [new Error('x'), undefined, null, 'WxloginProblem', 7, {}, [], { errMsg: 'login:fail' }]) {
    assert.equal(isProblem(other), false, inspect(other));
  }
  const made = new Problem({ code: 'refused', status: 403 });
  assert.deepEqual([made.message, { ...made }], ['wxlogin: refused', { ...NOT_OURS, name: made.name, code: 'refused', status: 403 }]);
}]);

check('a Problem has everything that the server said', openPhone, async ({ client }) => {
  await assert.rejects(client.request({ url: '/nowhere' }), {
    status: 404, code: 'not_found', action: 'none', retryAfter: 0, message: 'wxlogin: not_found', requestId: /^[0-9a-f]{32}$/,
    detail: /^[A-Z].*\.$/,
  });
});

check('no Problem contains a token, a code or a phone number', newPhone, async (phone) => {
  const { net, wx, device } = phone;
  const secrets = [];
  const problems = [];
  const { login } = wx;
  wx.login = (options) => login({ ...options, success: (res) => { secrets.push(res.code); options.success(res); } });
  const fails = (promise) => promise.then(assert.fail, (problem) => problems.push(problem));

  net.answer('POST /onLogin', [503, { code: 'wechat_unavailable', action: 'retry' }]);
  await fails(phone.client.login());
  net.answer('POST /onLogin', [400, { code: 'invalid_code', action: 'relogin' }]);
  await fails(launch(phone).login());
  net.clear();
  const client = launch(phone);
  await client.login();
  const detail = await device.getPhoneNumber();
  await client.bindPhone(detail);
  assert.ok(secrets.push(tokenOf(phone), detail.code) >= 6);
  await fails(client.bindPhone(detail));
  await fails(client.request({ url: '/nowhere', method: 'POST', data: detail }));
  await fails(client.request({ url: SHOP + '/?token=' + tokenOf(phone) }));
  net.away = true;
  for (const step of [ask, save({ nickName: '小明' }), logOut, ask]) await fails(step({ client }));

  assert.equal(problems.length, 9);
  for (const problem of problems) {
    const whole = [problem.stack, inspect(problem, { depth: 9, showHidden: true }), JSON.stringify(problem)].join('\n');
    for (const secret of secrets) assert.ok(!whole.includes(secret), problem.code);
  }
}, { waits: [1] });
