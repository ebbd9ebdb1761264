// The client's login: what it sends, what it shares, and what becomes of a wx.login that fails.

const assert = require('node:assert/strict');
const test = require('node:test');
const { watch, answerWith, holdAnswer } = require('./calls.js');
const { startFront } = require('./front.js');
const { server, takePhone, load, launch } = require('./phone.js');
const { kept, tokenOf, plant, works, end } = require('./session.js');

const NOTHING = { nickName: '', avatarUrl: '', gender: 0, country: '', province: '', city: '', language: '' };
const SECOND_APP = 'wx000000000001demo';

const times = (n, begin) => Array.from({ length: n }, begin);

test('a first login knows nothing of the user yet', async () => {
  const phone = takePhone();
  assert.deepEqual(await launch(phone).login(), { isNewUser: true, profileComplete: false, phoneNumber: '', userInfo: NOTHING });
  assert.ok(await works(tokenOf(phone)));
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200']);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
});

test('the profile is sent once, and known to a login on the next phone', async () => {
  const { user, ...phone } = takePhone();
  const client = launch(phone);
  await client.login();
  const { userInfo } = await client.updateUserInfo();
  assert.equal(userInfo.nickName, user);

  const next = takePhone({ user });
  assert.deepEqual(await launch(next).login(), { isNewUser: false, profileComplete: true, phoneNumber: '', userInfo });
  assert.deepEqual(next.seen.requests, ['POST /onLogin 200']);
});

test('a login with a token that works asks for the profile, and for no code', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const { userInfo } = await client.login();
  for (const silent of [false, true]) {
    assert.deepEqual(await client.login({ silent }), { isNewUser: false, profileComplete: false, phoneNumber: '', userInfo });
  }
  assert.equal(phone.seen.logins, 1);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'GET /userInfo 200', 'GET /userInfo 200']);
});

test('a token that the server has ended is replaced by one login', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  const old = tokenOf(phone);
  await end(old);
  assert.equal((await client.login()).isNewUser, false);
  assert.ok(tokenOf(phone) !== old);
  assert.deepEqual(phone.seen.requests.slice(1), ['GET /userInfo 401', 'POST /onLogin 200']);
});

test('twenty logins at once are one, with one answer', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const answers = await Promise.all(times(20, () => client.login()));
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200']);

  await Promise.all(times(20, () => client.login()));
  assert.deepEqual(phone.seen.requests.slice(1), ['GET /userInfo 200']);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
});

test('twenty logins at once with a token that has ended are one relogin', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  await end(tokenOf(phone));
  await Promise.all(times(20, () => client.login()));
  assert.deepEqual(phone.seen.requests.slice(1), ['GET /userInfo 401', 'POST /onLogin 200']);
});

// Whatever is called first, it is one login, and everything that needs a token waits for that.
const EVERYTHING = {
  login: (client) => client.login(),
  request: (client) => client.request({ url: '/userInfo' }),
  updateUserInfo: (client) => client.updateUserInfo(),
  saveProfile: (client, { avatarFile }) => client.saveProfile({ nickName: '小明', avatarFile }),
  bindPhone: (client, { number }) => client.bindPhone(number),
};

for (const first of Object.keys(EVERYTHING)) {
  test(`calls of every kind at once share one login, ${first} coming first`, async () => {
    const phone = takePhone();
    const client = launch(phone);
    const { avatarUrl: avatarFile } = await phone.device.chooseAvatar();
    const given = { avatarFile, number: await phone.device.getPhoneNumber() };
    const { [first]: begin, ...rest } = EVERYTHING;
    await Promise.all([begin, ...Object.values(rest)].map((call) => call(client, given)));
    const [login, ...others] = phone.seen.requests;
    assert.equal(login, 'POST /onLogin 200');
    assert.deepEqual(others.sort(), ['GET /userInfo 200', 'POST /bindPhone 200', 'POST /updateUserInfo 200',
      'POST /updateUserInfo 200', 'POST /uploadAvatar 200']);
    assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
  });
}

test('a late refusal of the token at a login costs no second one', async () => {
  const phone = takePhone();
  plant(phone);
  const client = launch(phone);
  const held = holdAnswer(phone.wx, '/userInfo');
  const late = client.login();
  await held.came;
  await client.request({ url: '/userInfo' });
  held.go();
  const { isNewUser } = await late;
  assert.equal(isNewUser, false);
  assert.deepEqual(phone.seen.requests,
    ['GET /userInfo 401', 'GET /userInfo 401', 'POST /onLogin 200', 'GET /userInfo 200', 'GET /userInfo 200']);
});

test('a token is the server\'s that gave it, whatever setup says meanwhile', async (t) => {
  const front = await startFront(t, server);
  const phone = takePhone();
  const client = launch(phone, { server: front.url });
  const held = holdAnswer(phone.wx, '/onLogin');
  const first = client.login();
  await held.came;
  client.setup({ server });
  held.go();
  await first;
  await client.request({ url: '/userInfo' });
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'POST /onLogin 200', 'GET /userInfo 200']);
});

test('a login that failed does not stand in the way of the next', async (t) => {
  const front = await startFront(t, server);
  front.away = true;
  const phone = takePhone();
  const client = launch(phone, { server: front.url });
  const failed = { message: 'wxlogin: network', status: 0, code: 'network', action: 'none', retryAfter: 0 };
  await Promise.all(times(3, () => assert.rejects(client.login(), failed)));
  assert.equal(phone.seen.logins, 1);
  assert.equal(kept(phone), undefined);
  front.away = false;
  assert.ok((await client.login()).isNewUser);
});

test('a network that fails costs no token', async (t) => {
  const front = await startFront(t, server);
  const phone = takePhone();
  const client = launch(phone, { server: front.url });
  await client.login();
  front.away = true;
  await assert.rejects(client.login(), { code: 'network' });
  front.away = false;
  await client.login();
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'GET /userInfo 200']);
});

for (const [errMsg, code] of [
  ['login:fail system error', 'network'], ['login:fail auth deny', 'network'], [undefined, 'network'],
]) {
  test(`a wx.login that fails (${errMsg}) is told`, async () => {
    const phone = takePhone();
    const client = launch(phone);
    const { login } = phone.wx;
    phone.wx.login = ({ fail }) => fail({ errMsg });
    const told = { status: 0, code, action: 'none', detail: errMsg || '' };
    await assert.rejects(client.request({ url: '/userInfo' }), told);
    await assert.rejects(client.login(), { code });
    assert.deepEqual(phone.seen.requests, []);
    phone.wx.login = login;
    await client.login();
  });
}

test('a wx.login without a code is told, and nothing is sent', async () => {
  const phone = takePhone();
  answerWith(phone.wx, 'login', { errMsg: 'login:ok', code: '' });
  await assert.rejects(launch(phone).login(), { status: 0, code: 'unknown', detail: 'wx.login gave no code.' });
  assert.deepEqual(phone.seen.requests, []);
});

test('the mini-program\'s appid goes with the code', async () => {
  const phone = takePhone({ appId: SECOND_APP });
  const sent = watch(phone.wx, 'request');
  await launch(phone).login();
  assert.deepEqual(Object.keys(sent[0].data).sort(), ['appid', 'code']);
  assert.equal(sent[0].data.appid, SECOND_APP);
});

const NO_APPID = {
  'that lacks the call': undefined,
  'whose call fails': () => { throw new Error('getAccountInfoSync:fail'); },
  'that says nothing': () => ({}),
  'that knows no appid': () => ({ miniProgram: { appId: '' } }),
};

for (const [phoneKind, getAccountInfoSync] of Object.entries(NO_APPID)) {
  test(`a phone ${phoneKind} leaves the appid to the server`, async () => {
    const phone = takePhone();
    phone.wx.getAccountInfoSync = getAccountInfoSync;
    const sent = watch(phone.wx, 'request');
    await launch(phone).login();
    assert.deepEqual(Object.keys(sent[0].data), ['code']);
  });
}

test('a code of another mini-program than the server takes it for is tried twice, and told', async () => {
  const phone = takePhone({ appId: SECOND_APP });
  phone.wx.getAccountInfoSync = undefined;
  await assert.rejects(launch(phone).login(), { status: 400, code: 'invalid_code', action: 'relogin' });
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 400', 'POST /onLogin 400']);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [2, 1]);
});

test('each mini-program of a person has a session of its own', async () => {
  const { user, ...phone } = takePhone();
  const other = takePhone({ user, appId: SECOND_APP });
  assert.ok((await launch(phone).login()).isNewUser);
  assert.ok((await launch(other).login()).isNewUser);
  assert.ok(tokenOf(phone) !== tokenOf(other));
});

test('without setup nothing is sent, and the promise says why', async () => {
  const phone = takePhone();
  const client = load(phone);
  const notSetUp = { status: 0, code: 'not_set_up', action: 'none', message: 'wxlogin: wxlogin.setup({ server }) must come first.' };
  const calls = [
    () => client.login(), () => client.request({ url: '/userInfo' }), () => client.updateUserInfo(),
    () => client.saveProfile({ nickName: '小明' }), () => client.bindPhone({ code: 'c' }),
    () => client.logout({ everywhere: true }), () => client.login(),
  ];
  for (const call of calls) await assert.rejects(call(), { ...notSetUp, name: 'Error' });
  await assert.rejects(client.request({ url: 'https://api.example.com/' }), { code: 'foreign_url' });
  assert.deepEqual(phone.seen.requests, []);
});

test('slashes at the end of the server\'s address do not matter', async () => {
  const phone = takePhone();
  await launch(phone, { server: server + '//' }).login();
  await launch(phone).login();
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'GET /userInfo 200']);
});
