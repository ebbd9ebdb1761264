const assert = require('node:assert/strict');
const test = require('node:test');
const classic = require('./classic.js');
const { server, newUser, takePhone } = require('./phone.js');

// usePhone makes the global wx a fresh phone, and tells what is seen on it.
function usePhone(options) {
  const { wx, device } = takePhone(options);
  globalThis.wx = wx;
  return device;
}

function login() {
  return new Promise((done, fail) => {
    classic.login(server, done, (problem) => fail(new Error(problem.code || problem.errMsg)));
  });
}

test('a first login asks for the profile and stores it', async () => {
  const user = newUser();
  const { seen } = usePhone({ user });
  const userInfo = await login();
  assert.equal(userInfo.nickName, user);
  assert.deepEqual(seen.requests, ['POST /onLogin 200', 'POST /updateUserInfo 200']);
  assert.ok(wx.getStorageSync('token').length === 43);
});

test('a second login has the profile without asking', async () => {
  const user = newUser();
  usePhone({ user });
  const first = await login();
  const { seen } = usePhone({ user }); // the same person with an empty phone
  const second = await login();
  assert.deepEqual(second, first);
  assert.deepEqual(seen.requests, ['POST /onLogin 200']);
});

test('a placeholder succeeds and is not stored', async () => {
  usePhone({ anonymous: true });
  const userInfo = await login();
  assert.equal(userInfo.nickName, '');
  assert.equal(userInfo.avatarUrl, '');
});

test('another page that logs in meanwhile does not spoil the update', async () => {
  const user = newUser();
  const { replaceSessionKey, seen } = usePhone({ user });
  const { getUserInfo } = wx;
  wx.getUserInfo = (options) => { // between the first page's login and its update
    wx.getUserInfo = getUserInfo;
    replaceSessionKey().then(login).then(() => getUserInfo(options), options.fail);
  };
  const userInfo = await login(); // sends data under the newer key with the older token
  assert.equal(userInfo.nickName, user);
  assert.equal(seen.logins, 2);
});
