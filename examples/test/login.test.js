// login(): what it sends, what it shares, and what a failure means for the next one.

const assert = require('node:assert/strict');
const test = require('node:test');
const { server, takePhone, load, launch, watch, answerWith } = require('./phone.js');
const {
  KEY, NOTHING_KNOWN, LOGIN, GET_USER, USER_INFO, UNKNOWN_TOKEN, newPhone, openPhone, check, assertSeen, kept, tokenOf, planted,
  works, end,
} = require('./session.js');

const SECOND_APP = 'wx000000000001demo';

const times = (n, begin) => Promise.all(Array.from({ length: n }, begin));

check('a first login knows nothing of the user yet', newPhone, async (phone) => {
  assert.deepEqual(await phone.client.login(), { ...NOTHING_KNOWN, isNewUser: true });
  assert.ok(await works(tokenOf(phone)));
}, { requests: [LOGIN], logins: 1 });

test('the profile is sent once, and known to a login on the next phone', async () => {
  const { user, client } = await openPhone();
  const { userInfo } = await client.updateUserInfo();
  assert.equal(userInfo.nickName, user);
  const next = newPhone({ user });
  assert.deepEqual(await next.client.login(), { isNewUser: false, profileComplete: true, phoneNumber: '', userInfo });
  await assertSeen(next, { requests: [LOGIN] });
});

check('a login with a token that works asks for the profile, and for no code', openPhone, async ({ client }) => {
  for (const silent of [false, true]) {
    assert.deepEqual(await client.login({ silent }), { ...NOTHING_KNOWN, isNewUser: false });
  }
}, { requests: [GET_USER, GET_USER], logins: 0 });

check('a token that the server has ended is replaced by one login', openPhone, async ({ client, token }) => {
  await end(token);
  assert.equal((await client.login()).isNewUser, false);
}, { requests: ['GET /userInfo 401', LOGIN], token: 'new' });

check('twenty logins at once are one, with one answer', newPhone, async ({ client, seen }) => {
  const answers = await times(20, () => client.login());
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.deepEqual(seen.requests, [LOGIN]);
  await times(20, () => client.login());
}, { requests: [LOGIN, GET_USER], logins: 1 });

check('twenty logins at once with a token that has ended are one relogin', openPhone, async ({ client, token }) => {
  await end(token);
  await times(20, () => client.login());
}, { requests: ['GET /userInfo 401', LOGIN] });

// Whichever call comes first: there is one login, and everything that needs a token waits for it.
const EVERYTHING = {
  login: (client) => client.login(),
  request: (client) => client.request(USER_INFO),
  updateUserInfo: (client) => client.updateUserInfo(),
  saveProfile: (client, { avatarFile }) => client.saveProfile({ nickName: '小明', avatarFile }),
  bindPhone: (client, { number }) => client.bindPhone(number),
};

for (const [first, begin] of Object.entries(EVERYTHING)) {
  check(`calls of every kind at once share one login, ${first} first`, newPhone, async ({ client, device, seen }) => {
    const { avatarUrl: avatarFile } = await device.chooseAvatar();
    const given = { avatarFile, number: await device.getPhoneNumber() };
    const rest = Object.values(EVERYTHING).filter((call) => call !== begin);
    await Promise.all([begin, ...rest].map((call) => call(client, given)));
    const [login, ...others] = seen.requests;
    assert.equal(login, LOGIN);
    assert.deepEqual(others.sort(), [GET_USER, 'POST /bindPhone 200', 'POST /updateUserInfo 200', 'POST /updateUserInfo 200',
      'POST /uploadAvatar 200']);
  }, { logins: 1 });
}

check('a late refusal of the token at a login costs no second one', planted, async ({ client, net }) => {
  const { isNewUser } = await net.whileAnswerHeld('/userInfo', () => client.login(), () => client.request(USER_INFO));
  assert.equal(isNewUser, false);
}, { requests: ['GET /userInfo 401', LOGIN, GET_USER, 'GET /userInfo 401', GET_USER], logins: 1 });

check('a token belongs to the server that gave it, even if setup names another one meanwhile', () => (
  newPhone({}, { server: 'https://other.example.com' })
), async ({ client, net }) => {
  net.answer('POST /onLogin', [200, { token: UNKNOWN_TOKEN, expiresIn: 3600 }]);
  await net.whileAnswerHeld('/onLogin', () => client.login(), () => client.setup({ server }));
  net.clear();
  await client.request(USER_INFO);
}, { requests: [LOGIN, LOGIN, GET_USER] });

check('a login that failed does not stand in the way of the next', newPhone, async (phone) => {
  const { client, net, seen } = phone;
  net.away = true;
  const failed = { message: 'wxlogin: network', status: 0, code: 'network', action: 'none', retryAfter: 0 };
  await times(3, () => assert.rejects(client.login(), failed));
  assert.equal(seen.logins, 1);
  assert.equal(kept(phone), undefined);
  net.away = false;
  assert.ok((await client.login()).isNewUser);
});

check('a network that fails costs no token', openPhone, async ({ client, net }) => {
  net.away = true;
  await assert.rejects(client.login(), { code: 'network' });
  net.away = false;
  await client.login();
}, { requests: [GET_USER], token: 'same' });

for (const errMsg of ['login:fail system error', 'login:fail auth deny', undefined]) {
  check(`a wx.login that fails (${errMsg}) is reported`, newPhone, async ({ client, wx, seen }) => {
    const { login } = wx;
    wx.login = ({ fail }) => fail({ errMsg });
    await assert.rejects(client.request(USER_INFO), { status: 0, code: 'network', action: 'none', detail: errMsg || '' });
    await assert.rejects(client.login(), { code: 'network' });
    assert.deepEqual(seen.requests, []);
    wx.login = login;
    await client.login();
  });
}

check('a wx.login without a code is reported, and nothing is sent', newPhone, ({ client, wx }) => {
  answerWith(wx, 'login', { errMsg: 'login:ok', code: '' });
  return client.login();
}, { fails: { status: 0, code: 'unknown', detail: 'wx.login gave no code.' }, requests: [] });

test('the mini-program\'s appid goes with the code', async () => {
  const phone = newPhone({ appId: SECOND_APP });
  const sent = watch(phone.wx, 'request');
  await phone.client.login();
  assert.deepEqual(Object.keys(sent[0].data).sort(), ['appid', 'code']);
  assert.equal(sent[0].data.appid, SECOND_APP);
});

for (const [kind, getAccountInfoSync] of Object.entries({
  'that lacks the call': undefined,
  'whose call fails': () => { throw new Error('getAccountInfoSync:fail'); },
  'that says nothing': () => ({}),
  'that knows no appid': () => ({ miniProgram: { appId: '' } }),
})) {
  check(`a phone ${kind} leaves the appid to the server`, newPhone, async ({ client, wx }) => {
    wx.getAccountInfoSync = getAccountInfoSync;
    const sent = watch(wx, 'request');
    await client.login();
    assert.deepEqual(Object.keys(sent[0].data), ['code']);
  });
}

check('a code of another mini-program than the server\'s first is tried twice', () => newPhone({ appId: SECOND_APP }), ({ client, wx }) => {
  wx.getAccountInfoSync = undefined;
  return client.login();
}, {
  fails: { status: 400, code: 'invalid_code', action: 'relogin' }, requests: ['POST /onLogin 400', 'POST /onLogin 400'], logins: 2,
});

test('each mini-program of a person has a session of its own', async () => {
  const phone = newPhone();
  const other = newPhone({ user: phone.user, appId: SECOND_APP });
  for (const { client } of [phone, other]) assert.ok((await client.login()).isNewUser);
  assert.ok(tokenOf(phone) !== tokenOf(other));
});

test('without setup nothing is sent, and the promise says why', async () => {
  const phone = takePhone();
  const client = load(phone);
  for (const call of [
    () => client.login(), () => client.request(USER_INFO), () => client.updateUserInfo(),
    () => client.saveProfile({ nickName: '小明' }), () => client.bindPhone({ code: 'c' }),
    () => client.logout({ everywhere: true }), () => client.login(),
  ]) {
    await assert.rejects(call(), {
      status: 0, code: 'not_set_up', action: 'none', name: 'Error', message: 'wxlogin: wxlogin.setup({ server }) must come first.',
    });
  }
  await assert.rejects(client.request({ url: 'https://api.example.com/' }), { code: 'foreign_url' });
  assert.deepEqual(phone.seen.requests, []);
});

check('slashes at the end of the server\'s address do not matter', () => newPhone({}, { server: server + '//' }), async (phone) => {
  await phone.client.login();
  await launch(phone).login();
  assert.ok(phone.device.storage.has(KEY));
}, { requests: [LOGIN, GET_USER] });
