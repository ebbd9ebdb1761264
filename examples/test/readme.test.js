// The README's two mini-programs against the demo: the login without any library (classic.js), and the ten lines (quickstart).

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const classic = require('./classic.js');
const { startApp } = require('./page.js');
const { server, launch, takePhone } = require('./phone.js');
const { LOGIN, UPDATE, UPLOAD, BIND, openPhone } = require('./session.js');

// --- The classic login.

/** classicLogin logs in on a phone, whose wx becomes the global one. */
function classicLogin({ wx }) {
  globalThis.wx = wx;
  return new Promise((done, fail) => {
    classic.login(server, done, (problem) => fail(new Error(problem.code || problem.errMsg)));
  });
}

test('a first login asks for the profile and stores it, a second one has it without asking', async () => {
  const phone = takePhone();
  const userInfo = await classicLogin(phone);
  assert.equal(userInfo.nickName, phone.user);
  assert.deepEqual(phone.seen.requests, [LOGIN, UPDATE]);
  assert.ok(phone.wx.getStorageSync('token').length === 43);
  const other = takePhone({ user: phone.user });
  assert.deepEqual(await classicLogin(other), userInfo);
  assert.deepEqual(other.seen.requests, [LOGIN]);
});

test('a placeholder succeeds and is not stored', async () => {
  const { nickName, avatarUrl } = await classicLogin(takePhone({ anonymous: true }));
  assert.deepEqual([nickName, avatarUrl], ['', '']);
});

test('another page that logs in meanwhile does not spoil the update', async () => {
  const phone = takePhone();
  const { getUserInfo } = phone.wx;
  phone.wx.getUserInfo = (options) => { // between the first page's login and its update
    phone.wx.getUserInfo = getUserInfo;
    phone.device.replaceSessionKey().then(() => classicLogin(phone)).then(() => getUserInfo(options), options.fail);
  };
  const userInfo = await classicLogin(phone); // sends data under the newer key with the older token
  assert.equal(userInfo.nickName, phone.user);
  assert.equal(phone.seen.logins, 2);
});

// --- The ten lines.

const textOf = (file) => readFileSync(path.join(__dirname, 'quickstart', file), 'utf8');

async function startQuickstart(t, phone) {
  const app = startApp(t, phone, {
    'app.json': '{"pages": ["pages/me/me"]}',
    'app.js': textOf('app.js').replace('https://login.example.com', server),
    'pages/me/me.js': textOf('me.js'),
    'pages/me/me.wxml': `<form bind:submit="onSubmit">
      <button open-type="chooseAvatar" bind:chooseavatar="onChooseAvatar">头像</button>
      <input type="nickname" name="nickName" /><button form-type="submit">保存</button></form>
      <button open-type="getPhoneNumber" bind:getphonenumber="onGetPhoneNumber">手机号</button>`,
  });
  await app.idle();
  return app;
}

test('the ten lines log in, fill the profile in and bind the phone number', async (t) => {
  const phone = takePhone();
  const app = await startQuickstart(t, phone);
  await app.press('头像');
  app.page.input.value = '小明';
  await app.press('保存');
  assert.equal(app.page.data.profileComplete, true);
  assert.equal(app.page.data.userInfo.nickName, '小明');
  await app.press('手机号');
  assert.ok(app.page.data.phoneNumber.includes('****'));
  assert.deepEqual(phone.seen.requests, [LOGIN, UPDATE, UPLOAD, BIND]);
});

test('the ten lines do not undo a logout, and reject nothing unhandled', async (t) => {
  const phone = await openPhone();
  await phone.client.logout();
  phone.seen.requests.length = 0;
  const app = await startQuickstart(t, phone);
  app.page.onShow();
  await app.idle();
  assert.deepEqual([phone.seen.logins, phone.seen.requests], [0, []]);
  await app.require('utils/wxlogin.js').login();
  assert.deepEqual(phone.seen.requests, [LOGIN]);
});

test('the ten lines know a number that is bound', async (t) => {
  const phone = takePhone();
  const { phoneNumber } = await launch(phone).bindPhone(await phone.device.getPhoneNumber());
  const app = await startQuickstart(t, takePhone({ user: phone.user }));
  assert.equal(app.page.data.phoneNumber, phoneNumber);
});

test('there are ten of them', () => {
  const lines = ['app.js', 'me.js'].flatMap((file) => textOf(file).trim().split('\n'));
  assert.equal(lines.length, 10);
});
