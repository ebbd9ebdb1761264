// The example's pages: what they do at each tap, against the demo. What they show of their data is the matter of test/compiler.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { startApp, folder } = require('./page.js');
const { server, takePhone } = require('./phone.js');

const HOME = 'pages/index/index';
const PROFILE = 'pages/profile/profile';
const NETWORK = '网络连接不上，请检查网络后再试。';

const phoneOfToday = (user) => takePhone({ user, anonymous: true });

/** open opens the mini-program, and waits until it has logged in. */
async function open(t, phone = phoneOfToday()) {
  const app = startApp(t, phone, { 'config.js': `module.exports = { server: '${server}' };` });
  await app.idle();
  return app;
}

/** openProfile opens the mini-program and its page 我的资料. */
async function openProfile(t, phone) {
  const app = await open(t, phone);
  await press(app, '我的资料');
  assert.equal(app.page.route, PROFILE);
  return app;
}

/** onProfile is a test that begins on that page. */
function onProfile(name, act) {
  test(name, async (t) => {
    const phone = phoneOfToday();
    await act(await openProfile(t, phone), phone, t);
  });
}

/** press taps and waits for everything that follows. */
async function press(app, text, answer) {
  await app.press(text, answer);
  await app.idle();
}

async function fillIn(app, { avatar, name }) {
  if (avatar) await press(app, '选择头像');
  if (name) await app.type(name);
  await press(app, '保存');
}

async function back(app) {
  app.back();
  await app.idle();
}

/** has compares parts of the page's data; name is userInfo.nickName. */
function has({ page: { data } }, { name, ...wanted }) {
  const actual = Object.fromEntries(Object.keys(wanted).map((key) => [key, data[key]]));
  assert.deepEqual(actual, wanted);
  if (name !== undefined) assert.equal(data.userInfo.nickName, name);
}

const isGreeted = (app, name) => has(app, { state: 'ready', name });
const isComplete = (app, name) => has(app, { state: 'ready', name, profileComplete: true, editing: false, message: '' });
const isLoggedOut = (app) => {
  assert.equal(app.page.route, HOME);
  has(app, { state: 'loggedOut', message: '' });
};

/** requestsOf are those that a phone sends while act and all that follows from it goes on. */
async function requestsOf(phone, app, act) {
  const before = phone.seen.requests.length;
  await act();
  await app.idle();
  return phone.seen.requests.slice(before);
}

for (const page of JSON.parse(readFileSync(path.join(folder, 'app.json'), 'utf8')).pages) {
  test(`${page}: each handler that the WXML names is a method of the page`, () => {
    const wxml = readFileSync(path.join(folder, page + '.wxml'), 'utf8');
    const handlers = Array.from(wxml.matchAll(/\b(?:bind|catch):?\w+="([^"]*)"/g), ([, name]) => name);
    assert.ok(handlers.length > 0);
    let definition;
    globalThis.Page = (given) => { definition = given; };
    require(path.join(folder, page));
    for (const name of handlers) assert.equal(typeof definition[name], 'function', name);
  });
}

test('the first launch logs in once, without a question, and greets a stranger', async (t) => {
  const phone = phoneOfToday();
  const app = startApp(t, phone, { 'config.js': `module.exports = { server: '${server}' };` });
  has(app, { state: 'loading' });
  await app.idle();
  isGreeted(app, '');
  has(app, { profileComplete: false, busy: '' });
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200']);
});

onProfile('a chosen avatar and a typed name are kept, and known on the next phone and at the next launch', async (app, phone, t) => {
  has(app, { profileComplete: false, editing: true });
  await fillIn(app, { avatar: true, name: '小明 🐼' });
  isComplete(app, '小明 🐼');
  assert.deepEqual(app.toasts, ['已保存']);
  const { avatarUrl } = app.page.data.userInfo;
  assert.equal((await fetch(avatarUrl)).headers.get('content-type'), 'image/jpeg');

  await back(app);
  let again;
  const requests = await requestsOf(phone, app, async () => { again = await open(t, phone); });
  assert.deepEqual([requests, phone.seen.logins], [['GET /userInfo 200'], 1]);
  for (const each of [app, again, await open(t, phoneOfToday(phone.user))]) {
    isGreeted(each, '小明 🐼');
    assert.equal(each.page.data.userInfo.avatarUrl, avatarUrl);
  }
});

for (const [steps, message] of [
  [[{ name: '小红' }, { avatar: true }], '已保存，还差一张头像。'], [[{ avatar: true }, { name: '小红' }], '已保存，还差一个昵称。'],
]) {
  onProfile(`the profile may come in two steps, ${Object.keys(steps[0])} first, and each is sent once`, async (app, phone) => {
    await fillIn(app, steps[0]);
    has(app, { message, editing: true });
    await fillIn(app, steps[1]);
    isComplete(app, '小红');
    assert.equal(phone.seen.requests.filter((request) => request === 'POST /uploadAvatar 200').length, 1);
  });
}

onProfile('a profile can be changed', async (app, phone, t) => {
  await fillIn(app, { avatar: true, name: '旧名' });
  const { avatarUrl } = app.page.data.userInfo;
  await press(app, '修改资料');
  has(app, { editing: true, nameAtFirst: '旧名' });
  await fillIn(app, { name: '新名' });
  isComplete(app, '新名');
  assert.equal(app.page.data.userInfo.avatarUrl, avatarUrl);
  isGreeted(await open(t, phoneOfToday(phone.user)), '新名');
});

onProfile('nothing given is nothing sent', async (app, phone) => {
  assert.deepEqual(await requestsOf(phone, app, () => fillIn(app, { name: '   ' })), []);
  has(app, { message: '请先选择头像或填写昵称，再保存。' });
});

const HINT = '微信不再直接提供头像和昵称，请您自己选择和填写';

onProfile('a placeholder from WeChat brings a hint, and changes nothing', async (app) => {
  await press(app, '选择头像');
  await app.type('打了一半');
  await press(app, '同步微信资料');
  has(app, { hint: HINT, name: '' });
  await press(app, '保存');
  isComplete(app, '打了一半'); // what was typed and chosen before survived
});

test('a placeholder does not replace a real profile', async (t) => {
  const phone = takePhone();
  await press(await openProfile(t, phone), '同步微信资料');
  const app = await openProfile(t, phoneOfToday(phone.user));
  isComplete(app, phone.user);
  await press(app, '同步微信资料');
  has(app, { hint: HINT, name: phone.user, profileComplete: true, editing: true });
});

onProfile('a hint that has become wrong is gone', async (app, phone) => {
  await press(app, '同步微信资料');
  phone.device.release.anonymous = false;
  await press(app, '同步微信资料');
  await press(app, '修改资料');
  has(app, { hint: '' });
});

test('an older release gets the real profile', async (t) => {
  const phone = takePhone();
  const app = await openProfile(t, phone);
  await press(app, '同步微信资料');
  isComplete(app, phone.user);
  assert.deepEqual(app.toasts, ['已同步']);
  isGreeted(await open(t, phoneOfToday(phone.user)), phone.user);
});

for (const [way, old] of [['by a code', false], ['the old way', true]]) {
  onProfile(`a phone number is bound ${way}, and known in part from then on`, async (app, phone, t) => {
    await press(app, '绑定手机号', { old });
    const { phoneNumber } = app.page.data;
    assert.match(phoneNumber, /^\d{3}\*{4}\d{4}$/);
    await back(app);
    await press(app, '我的资料'); // it is opened again
    has(app, { phoneNumber });
    await press(app, '退出登录');
    await press(app, '登录');
    await press(app, '我的资料');
    has(app, { phoneNumber });
    has(await openProfile(t, phoneOfToday(phone.user)), { phoneNumber });
    assert.equal(phone.seen.requests.filter((request) => request.includes('/bindPhone')).length, 1);
  });
}

onProfile('a refused phone number changes nothing', async (app, phone) => {
  await app.type('打了一半');
  assert.deepEqual(await requestsOf(phone, app, () => press(app, '绑定手机号', { deny: true })), []);
  has(app, { message: '您没有同意授权，什么都没有改变，需要时可以再试一次。', phoneNumber: '' });
  await press(app, '绑定手机号');
  has(app, { message: '' });
  assert.ok(app.page.data.phoneNumber);
  await press(app, '保存');
  has(app, { name: '打了一半' });
});

test('a used-up quota of phone numbers is reported', async (t) => {
  const phone = phoneOfToday();
  phone.device.getPhoneNumber = async () => ({ errMsg: 'getPhoneNumber:fail', errno: 1400001 });
  const app = await openProfile(t, phone);
  await press(app, '绑定手机号');
  has(app, { message: '暂时无法验证手机号，请以后再试。' });
});

onProfile('after a logout the user stays logged out, over relaunches, until 登录', async (app, phone, t) => {
  await fillIn(app, { avatar: true, name: '小李' });
  assert.deepEqual(await requestsOf(phone, app, () => press(app, '退出登录')), ['POST /logout 200']);
  isLoggedOut(app);
  has(app, { name: '' });
  let again;
  for (let launches = 0; launches < 2; launches++) {
    assert.deepEqual(await requestsOf(phone, app, async () => { again = await open(t, phone); }), []);
    await again.page.onShow();
    isLoggedOut(again);
  }
  await press(again, '登录');
  isGreeted(again, '小李');
  isGreeted(await open(t, phone), '小李'); // the logout is over
});

test('after a logout by other code, refresh and the profile lead to the logged-out home', async (t) => {
  const phone = phoneOfToday();
  await fillIn(await openProfile(t, phone), { avatar: true, name: '小孙' });
  for (const button of ['刷新', '我的资料']) {
    const app = await open(t, phone);
    await app.require('utils/wxlogin.js').login();
    await app.require('utils/wxlogin.js').logout();
    await press(app, button);
    isLoggedOut(app);
    await app.require('utils/wxlogin.js').login();
  }
});

onProfile('a logout works without the server', async (app, phone) => {
  phone.net.away = true;
  await press(app, '退出登录');
  isLoggedOut(app);
  phone.net.away = false;
  await press(app, '登录');
  isGreeted(app, '');
});

test('refresh brings what was changed elsewhere', async (t) => {
  const phone = phoneOfToday();
  const app = await open(t, phone);
  await fillIn(await openProfile(t, phoneOfToday(phone.user)), { avatar: true, name: '别处' });
  isGreeted(app, '');
  await press(app, '刷新');
  isGreeted(app, '别处');
  assert.deepEqual(app.toasts, ['已刷新']);
});

test('a network that is away is reported, and a second try helps', async (t) => {
  const phone = phoneOfToday();
  const { net } = phone;
  net.away = true;
  const app = await open(t, phone);
  has(app, { state: 'failed', message: NETWORK });
  net.away = false;
  await press(app, '重试');
  has(app, { state: 'ready', message: '' });

  net.away = true;
  await press(app, '刷新');
  has(app, { state: 'ready', message: NETWORK }); // what is known stays
  await press(app, '我的资料');
  has(app, { state: 'failed', message: NETWORK });
  net.away = false;
  await press(app, '重试');
  has(app, { state: 'ready', editing: true });
  await back(app);
  has(app, { message: '' });
});

onProfile('what was typed and chosen survives an error', async (app, phone) => {
  phone.net.away = true;
  await fillIn(app, { avatar: true, name: '小赵' });
  has(app, { message: NETWORK, editing: true });
  assert.ok(app.page.data.chosenAvatar);
  phone.net.away = false;
  await press(app, '保存');
  isComplete(app, '小赵');
});

onProfile('a name that was kept before its picture was refused is not lost', async (app, phone) => {
  phone.net.answer('POST /uploadAvatar', [422, { code: 'invalid_picture', action: 'none' }]);
  await fillIn(app, { avatar: true, name: '小钱' });
  has(app, { message: '这张图片不能使用，请换一张。' });
  phone.net.clear();
  await press(app, '选择头像');
  has(app, { message: '' });
  await press(app, '保存');
  isComplete(app, '小钱');
});

onProfile('a name that the server does not take is reported', async (app) => {
  await fillIn(app, { name: 'abc\u202edef' }); // a bidi override
  has(app, { message: '填写的内容不能使用，请修改后再试（昵称为 1 到 32 个字）。' });
});

for (const [what, answer, message] of [
  ['a busy WeChat', [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '30' }], '微信现在比较忙，请 30 秒后再试。'],
  ['a busy server', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '45' }], '服务器现在比较忙，请 45 秒后再试。'],
  ['too many requests', [429, { code: 'rate_limited', action: 'retry' }, { 'Retry-After': '60' }], '操作太频繁了，请 1 分钟后再试。'],
  ['a blocked user', [403, { code: 'user_blocked', action: 'none' }], '您的账号目前不能使用，如有疑问请联系客服。'],
  ['a misconfigured server', [503, { code: 'misconfigured', action: 'none' }], '小程序的设置有误，请联系客服，我们会尽快处理。'],
  ['a bug of the server', [500, { code: 'internal', action: 'none', requestId: 'refused-1' }],
    '没有成功，请稍后再试；如果总是这样，请把编号 refused-1 告诉客服。'],
  ['a proxy without a server', [502, {}], '服务器现在比较忙，请稍后再试。'],
]) {
  test(`${what} is reported at launch, and later on`, async (t) => {
    const [first, later] = [phoneOfToday(), phoneOfToday()];
    first.net.answer('POST /onLogin', answer);
    has(await open(t, first), { state: 'failed', message });
    const app = await open(t, later);
    later.net.answer('GET /userInfo', answer);
    await press(app, '刷新');
    has(app, { state: 'ready', message });
    later.net.clear();
    await press(app, '刷新');
    has(app, { message: '' });
  });
}

// A second tap may come before the page is drawn again, when its buttons are not yet disabled.
test('double taps do not send twice', async (t) => {
  const phone = phoneOfToday();
  const app = await open(t, phone);
  const twice = (tap) => requestsOf(phone, app, () => Promise.all([tap(), tap()]));
  const on = (text) => twice(() => app.press(text));
  assert.deepEqual(await on('刷新'), ['GET /userInfo 200']);
  assert.deepEqual(await on('我的资料'), ['GET /userInfo 200']);
  await back(app);
  assert.equal(app.page.route, HOME); // there was one page to leave
  await press(app, '我的资料');
  await app.type('快手');
  assert.deepEqual(await on('保存'), ['POST /updateUserInfo 200']);
  assert.deepEqual(await on('同步微信资料'), ['POST /updateUserInfo 200']);
  assert.deepEqual(await on('绑定手机号'), ['POST /bindPhone 200']);
  assert.deepEqual(await on('退出登录'), ['POST /logout 200']);
  assert.deepEqual(await on('登录'), ['POST /onLogin 200']);
  assert.equal(phone.seen.loginsMost, 1);
});

onProfile('one button works at a time', async (app) => {
  await app.type('慢慢来');
  const saving = app.press('保存');
  has(app, { busy: 'save' });
  await saving;
  has(app, { busy: '', editing: true });
});

test('without consent to the privacy guide the user is asked for it', async (t) => {
  const phone = phoneOfToday();
  phone.wx.requirePrivacyAuthorize = ({ fail }) => fail({ errMsg: 'requirePrivacyAuthorize:fail' });
  has(await openProfile(t, phone), { message: '请先同意隐私保护指引，再选择头像和填写昵称。' });
});

onProfile('a name that WeChat refuses is reported, and not sent', async (app, phone) => {
  const requests = await requestsOf(phone, app, async () => {
    phone.device.reviewNickname = () => false;
    await app.type('不可以');
    has(app, { message: '这个昵称没有通过微信的检查，请换一个。' });
    await press(app, '保存');
  });
  assert.deepEqual(requests, []);
  phone.device.reviewNickname = () => true;
  await fillIn(app, { name: '可以' });
  has(app, { name: '可以' });
});

onProfile('a check of the name that took too long refuses nothing', async (app) => {
  await app.call('nicknamereview', { pass: false, timeout: true });
  has(app, { message: '' });
});

onProfile('an avatar that was not chosen leaves the one before, and says why if that helps', async (app) => {
  await press(app, '选择头像');
  const { chosenAvatar } = app.page.data;
  for (const [type, errMsg, message] of [
    ['error', 'chooseAvatar:fail cancel', ''], ['chooseavatar', 'chooseAvatar:fail cancel', ''],
    ['error', 'chooseAvatar:fail api scope is not declared in the privacy agreement', '小程序的配置有误，这项功能暂时无法使用，请联系客服。'],
  ]) {
    await app.call(type, { errMsg });
    has(app, { message, chosenAvatar });
  }
});

onProfile('a picture that the phone has lost is to be chosen again', async (app, phone) => {
  await press(app, '选择头像');
  const { fileOf } = phone.device;
  phone.device.fileOf = () => undefined;
  await fillIn(app, { name: '小明' });
  has(app, { message: '图片已失效，请重新选择。', chosenAvatar: '' });
  phone.device.fileOf = fileOf;
  await fillIn(app, { avatar: true });
  isComplete(app, '小明');
});

onProfile('a number that an older server does not repeat stays on the page', async (app, phone) => {
  await press(app, '绑定手机号');
  const { phoneNumber } = app.page.data;
  phone.net.answer('POST /updateUserInfo', [200, { profileComplete: false, userInfo: { nickName: '小明', avatarUrl: '' } }]);
  await fillIn(app, { name: '小明' });
  assert.ok(phoneNumber);
  has(app, { phoneNumber });
});
