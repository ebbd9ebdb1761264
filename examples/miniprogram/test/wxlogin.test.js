const assert = require('node:assert/strict');
const test = require('node:test');
const wxlogin = require('../utils/wxlogin.js');
const classic = require('./classic.js');
const phone = require('./phone.js');

const { server, newUser, phoneGives, answering } = phone;

const TOKEN_KEY = 'wxlogin.token';
const UNKNOWN_TOKEN = 'A'.repeat(43); // well formed, but nobody's

let waits; // the seconds that the client waited

// usePhone makes the global wx a fresh phone, and the client talk to the demo without waiting in earnest.
function usePhone(user, release) {
  waits = [];
  wxlogin.setup({ server, wait: async (seconds) => { waits.push(seconds); } });
  return phone.usePhone(user, release);
}

// update fetches the profile from the phone and sends it.
async function update() {
  return wxlogin.updateUserInfo(await phoneGives('getUserProfile'));
}

test('a first login gives a token and an empty profile', async () => {
  const { seen } = usePhone();
  const answer = await wxlogin.login();
  assert.ok(answer.isNewUser && !answer.profileComplete);
  assert.equal(answer.userInfo.nickName, '');
  assert.ok(wx.getStorageSync(TOKEN_KEY) === answer.token);
  assert.deepEqual(seen.requests, ['POST /onLogin 200']);
});

test('the profile is sent once, and known to the next login', async () => {
  const user = newUser();
  usePhone(user);
  await wxlogin.login();
  const updated = await update();
  assert.ok(updated.profileComplete && !updated.anonymous);
  assert.equal(updated.userInfo.nickName, user);

  const { seen } = usePhone(user);
  const again = await wxlogin.login();
  assert.ok(again.profileComplete && !again.isNewUser);
  assert.deepEqual(again.userInfo, updated.userInfo);
  assert.deepEqual(seen.requests, ['POST /onLogin 200']);
});

test('parallel calls share one login', async () => {
  const { seen } = usePhone();
  const openData = await phoneGives('getUserProfile');
  await Promise.all([
    wxlogin.login(), wxlogin.login(), wxlogin.updateUserInfo(openData), wxlogin.updateUserInfo(openData), wxlogin.login(),
  ]);
  assert.equal(seen.logins, 1);
  assert.equal(seen.requests.filter((r) => r.startsWith('POST /onLogin')).length, 1);
});

test('a login that failed does not stand in the way of the next', async () => {
  usePhone();
  wxlogin.setup({ server: 'http://127.0.0.1:1' }); // nobody listens there
  await assert.rejects(wxlogin.login(), { code: 'network', action: 'none' });
  wxlogin.setup({ server });
  assert.ok((await wxlogin.login()).isNewUser);
});

test('a token that is no longer valid is replaced once', async () => {
  const user = newUser();
  const { seen } = usePhone(user);
  wx.setStorageSync(TOKEN_KEY, UNKNOWN_TOKEN);
  assert.equal((await update()).userInfo.nickName, user);
  assert.deepEqual(seen.requests, ['POST /updateUserInfo 401', 'POST /onLogin 200', 'POST /updateUserInfo 200']);
});

test('parallel requests replace an invalid token with one login', async () => {
  const { seen } = usePhone();
  wx.setStorageSync(TOKEN_KEY, UNKNOWN_TOKEN);
  await Promise.all([update(), update(), update()]);
  assert.equal(seen.logins, 1);
});

test('a late refusal of the old token does not cost a second login', async (t) => {
  const { seen } = usePhone();
  wx.setStorageSync(TOKEN_KEY, UNKNOWN_TOKEN);
  const service = await answering(t, [401, { action: 'relogin' }], [200, {}]);
  const request = wx.request;
  wx.request = (options) => { // the other request is over before this one is sent
    wx.request = request;
    update().then(() => request(options), options.fail);
  };
  await wxlogin.request({ url: service + '/orders' });
  assert.equal(seen.logins, 1);
});

test('a server that wants a login for ever gets one', async (t) => {
  const { seen } = usePhone();
  await wxlogin.login();
  const service = await answering(t, [401, 'Unauthorized']);
  await assert.rejects(wxlogin.request({ url: service + '/orders' }), { status: 401, action: 'relogin' });
  assert.deepEqual(seen.requests.slice(1), ['GET /orders 401', 'POST /onLogin 200', 'GET /orders 401']);
});

test('a busy server is asked again after Retry-After, once', async (t) => {
  usePhone();
  wx.setStorageSync(TOKEN_KEY, UNKNOWN_TOKEN);
  const busy = [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }];
  wxlogin.setup({ server: await answering(t, busy, [200, { profileComplete: true }]) });
  assert.ok((await update()).profileComplete);
  assert.deepEqual(waits, [2]);

  wxlogin.setup({ server: await answering(t, busy) });
  await assert.rejects(update(), { status: 503, code: 'storage_unavailable', retryAfter: 2 });
  assert.deepEqual(waits, [2, 2]);
});

test('a long Retry-After is handed to the caller', async (t) => {
  usePhone();
  wxlogin.setup({
    server: await answering(t, [429, { code: 'rate_limited', action: 'retry' }, { 'Retry-After': '60' }]),
  });
  await assert.rejects(wxlogin.login(), { code: 'rate_limited', retryAfter: 60 });
  assert.deepEqual(waits, []);
});

test('a repeated login takes a new code', async (t) => {
  const { seen } = usePhone();
  wxlogin.setup({
    server: await answering(t,
      [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '2' }],
      [400, { code: 'invalid_code', action: 'relogin' }],
      [200, { token: UNKNOWN_TOKEN }]),
  });
  await wxlogin.login();
  assert.equal(seen.logins, 3);
  assert.deepEqual(waits, [2]);
});

test('what cannot be helped is told at once', async (t) => {
  const { seen } = usePhone();
  wxlogin.setup({ server: await answering(t, [502, '<html>Bad Gateway</html>']) });
  await assert.rejects(wxlogin.login(), { status: 502, code: 'unknown', action: 'none' });
  assert.deepEqual(seen.requests, ['POST /onLogin 502']);
});

test('request sends the token as a header', async () => {
  const user = newUser();
  const { seen } = usePhone(user);
  const { encryptedData, iv } = await phoneGives('getUserProfile');
  const answer = await wxlogin.request({ url: '/updateUserInfo', method: 'POST', data: { encryptedData, iv } });
  assert.equal(answer.userInfo.nickName, user);
  assert.deepEqual(seen.requests, ['POST /onLogin 200', 'POST /updateUserInfo 200']);
});

test('data without rawData and signature is enough', async () => {
  const user = newUser();
  usePhone(user);
  const { encryptedData, iv } = await phoneGives('getUserInfo');
  assert.equal((await wxlogin.updateUserInfo({ encryptedData, iv })).userInfo.nickName, user);
});

test('data that was tampered with is refused', async () => {
  const { seen } = usePhone();
  await wxlogin.login();
  const openData = await phoneGives('getUserProfile');
  openData.rawData = openData.rawData.replace('user', 'root');
  await assert.rejects(wxlogin.updateUserInfo(openData), { status: 422, code: 'undecryptable' });
  assert.deepEqual(seen.requests.slice(1),
    ['POST /updateUserInfo 422', 'POST /onLogin 200', 'POST /updateUserInfo 422']);
});

test('another page that logs in does not spoil an update', async (t) => {
  // Whose token comes with whose session_key: both ways round, neither takes a second login.
  const otherPage = () => new Promise((done, fail) => classic.login(server, done, fail));

  await t.test('data under the newer key, the older token', async () => {
    const user = newUser();
    const { seen } = usePhone(user);
    await wxlogin.login();
    await wx.replaceSessionKey();
    await otherPage();
    assert.equal((await update()).userInfo.nickName, user);
    assert.equal(seen.logins, 2);
  });

  await t.test('data under the older key, the newer token', async () => {
    const user = newUser();
    const { seen } = usePhone(user);
    await otherPage();
    const openData = await phoneGives('getUserProfile');
    await wx.replaceSessionKey();
    await wxlogin.login();
    assert.equal((await wxlogin.updateUserInfo(openData)).userInfo.nickName, user);
    assert.equal(seen.logins, 2);
  });
});

test('data under a key that the server never saw takes one more login', async () => {
  const user = newUser();
  const { seen } = usePhone(user);
  await wxlogin.login();
  await wx.replaceSessionKey();
  assert.equal((await update()).userInfo.nickName, user);
  assert.deepEqual(seen.requests,
    ['POST /onLogin 200', 'POST /updateUserInfo 422', 'POST /onLogin 200', 'POST /updateUserInfo 200']);
});

test('a placeholder is told and overwrites nothing', async () => {
  const user = newUser();
  usePhone(user);
  const { userInfo } = await update();

  usePhone(user, { anonymous: true });
  const answer = await update();
  assert.ok(answer.anonymous && answer.profileComplete);
  assert.deepEqual(answer.userInfo, userInfo);
});
