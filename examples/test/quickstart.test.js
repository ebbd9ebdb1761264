// The ten lines of README, as a mini-program against the demo.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { program, start } = require('./bundle.js');
const { server, takePhone, launch } = require('./phone.js');

const SERVER_OF_README = 'https://login.example.com';

const textOf = (file) => readFileSync(path.join(__dirname, file), 'utf8');

const wxml = `
  <text wx:if="{{profileComplete}}">你好，{{userInfo.nickName}}</text>
  <form wx:else bind:submit="onSubmit">
    <button open-type="chooseAvatar" bind:chooseavatar="onChooseAvatar">头像</button>
    <input type="nickname" name="nickName" />
    <button form-type="submit">保存</button>
  </form>
  <button open-type="getPhoneNumber" bind:getphonenumber="onGetPhoneNumber">{{phoneNumber || '手机号'}}</button>`;

function startQuickstart(t, { wx, device }) {
  return start(t, {
    ...program({ 'pages/me/me.wxml': wxml, 'pages/me/me.js': textOf('quickstart/me.js'), 'pages/me/me.json': {} }),
    'app.js': textOf('quickstart/app.js').replace(SERVER_OF_README, server),
    'utils/wxlogin.js': textOf('../miniprogram/utils/wxlogin.js'),
  }, { wx, device });
}

test('the ten lines log in, fill the profile in and bind the phone number', async (t) => {
  const { seen, ...phone } = takePhone();
  const app = startQuickstart(t, phone);
  await app.idle();
  await app.tap('头像');
  await app.type('nickName', '小明');
  await app.tap('保存');
  await app.idle();
  assert.ok(app.shows('你好，小明'));
  await app.tap('手机号');
  await app.idle();
  assert.ok(app.buttons()[0].includes('****'));
  assert.deepEqual(seen.requests,
    ['POST /onLogin 200', 'POST /updateUserInfo 200', 'POST /uploadAvatar 200', 'POST /bindPhone 200']);
});

test('the ten lines do not undo a logout, and reject nothing unhandled', async (t) => {
  const phone = takePhone();
  const client = launch(phone);
  await client.login();
  await client.logout();
  phone.seen.requests.length = 0;
  const app = startQuickstart(t, phone);
  await app.idle();
  app.page().onShow();
  await app.idle();
  assert.deepEqual(app.errors, []);
  assert.deepEqual([phone.seen.logins, phone.seen.requests], [1, []]);
  await app.require('utils/wxlogin.js').login();
  await app.idle();
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200']);
});

test('the ten lines know a number that is bound', async (t) => {
  const phone = takePhone();
  const client = launch(phone);
  const { phoneNumber } = await client.bindPhone(await phone.device.getPhoneNumber());
  const app = startQuickstart(t, takePhone({ user: phone.user }));
  await app.idle();
  assert.ok(app.buttons().includes(phoneNumber));
});

test('there are ten of them', () => {
  const lines = ['quickstart/app.js', 'quickstart/me.js'].flatMap((file) => textOf(file).trim().split('\n'));
  assert.equal(lines.length, 10);
});
