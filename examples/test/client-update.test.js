// updateUserInfo(): WeChat's own profile of the user, under the right session_key.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith, holdAnswer, watch } = require('./calls.js');
const classic = require('./classic.js');
const { server, takePhone, launch } = require('./phone.js');
const { openPhone } = require('./session.js');

const UPDATE_AFTER_RELOGIN = ['POST /updateUserInfo 422', 'POST /onLogin 200', 'POST /updateUserInfo 200'];

// An open phone has logged in.
// logInElsewhere is a login of another page, which does not use the client.
function logInElsewhere({ wx }) {
  globalThis.wx = wx;
  return new Promise((done, fail) => { classic.login(server, done, (problem) => fail(new Error(problem.code))); });
}

test('an update fills the profile in', async () => {
  const { client, user, seen, wx } = await openPhone();
  const asked = watch(wx, 'getUserInfo');
  const { anonymous, profileComplete, userInfo, ...more } = await client.updateUserInfo();
  assert.deepEqual([anonymous, profileComplete, more], [false, true, { phoneNumber: '' }]);
  assert.equal(userInfo.nickName, user);
  assert.match(userInfo.avatarUrl, /^https?:/);
  assert.deepEqual(seen.requests, ['POST /updateUserInfo 200']);
  assert.deepEqual([asked[0].withCredentials, asked[0].lang], [true, 'zh_CN']);
});

test('the update sends what proves the data, and nothing else', async () => {
  const { client, wx } = await openPhone();
  const sent = watch(wx, 'request');
  await client.updateUserInfo();
  assert.deepEqual(Object.keys(sent[0].data).sort(), ['encryptedData', 'iv', 'rawData', 'signature']);
  assert.equal(sent[0].header['content-type'], 'application/x-www-form-urlencoded');
});

test('without rawData and signature the update sends no text "undefined"', async () => {
  const { client, user, wx } = await openPhone();
  const { getUserInfo } = wx;
  wx.getUserInfo = (options) => getUserInfo({
    ...options, success: ({ encryptedData, iv }) => options.success({ encryptedData, iv }),
  });
  const sent = watch(wx, 'request');
  assert.equal((await client.updateUserInfo()).userInfo.nickName, user);
  assert.deepEqual(Object.keys(sent[0].data).sort(), ['encryptedData', 'iv']);
});

test('the data is asked for after the login, never before', async () => {
  const phone = takePhone();
  const asked = watch(phone.wx, 'getUserInfo');
  const login = holdAnswer(phone.wx, '/onLogin');
  const update = launch(phone).updateUserInfo();
  await login.came;
  assert.equal(asked.length, 0);
  login.go();
  assert.equal((await update).userInfo.nickName, phone.user);
  assert.equal(asked.length, 1);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'POST /updateUserInfo 200']);
});

test('parallel updates on a fresh phone share one login', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const answers = await Promise.all(Array.from({ length: 5 }, () => client.updateUserInfo()));
  assert.ok(answers.every(({ userInfo }) => userInfo.nickName === phone.user));
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
});

test('after a relogin the data is new', async () => {
  const phone = await openPhone();
  const { client, user, wx, device, seen } = phone;
  const asked = watch(wx, 'getUserInfo');
  const sent = watch(wx, 'request');
  await device.replaceSessionKey();
  assert.equal((await client.updateUserInfo()).userInfo.nickName, user);
  assert.deepEqual(seen.requests, UPDATE_AFTER_RELOGIN);
  assert.equal(asked.length, 2);
  assert.ok(sent[0].data.encryptedData !== sent[2].data.encryptedData);
  assert.deepEqual([seen.logins, seen.loginsMost], [2, 1]);
});

test('parallel updates after WeChat replaced the key need one more login', async () => {
  const { client, device, seen } = await openPhone();
  await device.replaceSessionKey();
  await Promise.all([client.updateUserInfo(), client.updateUserInfo(), client.updateUserInfo()]);
  assert.deepEqual([seen.logins, seen.loginsMost], [2, 1]);
});

test('data under the newer key with the older token needs no login', async () => {
  const phone = await openPhone();
  await phone.device.replaceSessionKey();
  await logInElsewhere(phone);
  phone.seen.requests.length = 0;
  assert.equal((await phone.client.updateUserInfo()).userInfo.nickName, phone.user);
  assert.deepEqual(phone.seen.requests, ['POST /updateUserInfo 200']);
});

test('data under the older key with the newer token needs no login', async () => {
  const phone = takePhone();
  await logInElsewhere(phone);
  const older = await new Promise((success, fail) => { phone.wx.getUserInfo({ success, fail }); });
  await phone.device.replaceSessionKey();
  const client = launch(phone);
  await client.login();
  answerWith(phone.wx, 'getUserInfo', older);
  phone.seen.requests.length = 0;
  assert.equal((await client.updateUserInfo()).userInfo.nickName, phone.user);
  assert.deepEqual(phone.seen.requests, ['POST /updateUserInfo 200']);
});

test('a placeholder is told, and overwrites nothing', async () => {
  const { client, user } = await openPhone();
  const { userInfo } = await client.updateUserInfo();

  const today = await openPhone({ user, anonymous: true });
  assert.deepEqual(await today.client.updateUserInfo(), { anonymous: true, profileComplete: true, phoneNumber: '', userInfo });

  const stranger = await openPhone({ anonymous: true });
  const answer = await stranger.client.updateUserInfo();
  assert.deepEqual([answer.anonymous, answer.profileComplete, answer.userInfo.nickName], [true, false, '']);
});

const TAMPERED = {
  rawData: (given) => ({ ...given, rawData: given.rawData.replace('user', 'root') }),
  signature: (given) => ({ ...given, signature: given.signature.replace(/./g, '0') }),
  encryptedData: (given) => ({ ...given, encryptedData: Buffer.alloc(64, 7).toString('base64') }),
};

test('data that was tampered with is refused, after one relogin', async () => {
  await Promise.all(Object.entries(TAMPERED).map(async ([name, tamper]) => {
    const { client, wx, seen } = await openPhone();
    const { getUserInfo } = wx;
    wx.getUserInfo = (options) => getUserInfo({ ...options, success: (given) => options.success(tamper(given)) });
    await assert.rejects(client.updateUserInfo(), { status: 422, code: 'undecryptable', action: 'relogin' }, name);
    assert.deepEqual(seen.requests, ['POST /updateUserInfo 422', 'POST /onLogin 200', 'POST /updateUserInfo 422']);
    assert.equal((await client.login()).userInfo.nickName, '');
  }));
});

for (const [errMsg, code] of [
  ['getUserInfo:fail auth deny', 'refused'], ['getUserInfo:fail:auth denied', 'refused'],
  ['getUserInfo:fail cancel', 'refused'], ['getUserInfo:fail scope unauthorized', 'refused'],
  ['getUserInfo:fail privacy permission is not authorized', 'refused'], ['getUserInfo:fail system error', 'network'],
]) {
  test(`"${errMsg}" is ${code}, and sends nothing`, async () => {
    const { client, wx, seen } = await openPhone();
    wx.getUserInfo = ({ fail }) => fail({ errMsg });
    await assert.rejects(client.updateUserInfo(), { status: 0, code, action: 'none', detail: errMsg });
    assert.deepEqual(seen.requests, []);
  });
}
