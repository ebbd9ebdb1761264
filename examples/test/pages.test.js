// The mini-program's pages, as a person uses them, on a phone of its own for each test and against the demo.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { startApp } = require('../phone/app.js');
const { readFolder } = require('../phone/folder.js');
const { startFront } = require('./front.js');
const { server, takePhone } = require('./phone.js');

const folder = path.join(__dirname, '../miniprogram');

// phoneOfToday gets WeChat's placeholder in place of the profile.
function phoneOfToday(user) {
  return takePhone({ user, anonymous: true });
}

// launch opens the mini-program on a phone, but does not wait until it has logged in.
function launch(t, phone, address = server) {
  const app = startApp({ bundle: readFolder(folder, { 'config.js': { server: address } }), ...phone });
  t.after(() => {
    app.stop();
    assert.deepEqual(app.errors, []);
  });
  return app;
}

async function open(t, phone = phoneOfToday(), address = server) {
  const app = launch(t, phone, address);
  await app.idle();
  return app;
}

// openProfile opens the mini-program and its page 我的资料.
async function openProfile(t, phone = phoneOfToday(), address = server) {
  const app = await open(t, phone, address);
  await press(app, '我的资料');
  assert.equal(app.title(), '我的资料');
  return app;
}

// press taps and waits for all that follows.
async function press(app, text, answer) {
  await app.tap(text, answer);
  await app.idle();
}

async function fillIn(app, { avatar, name }) {
  if (avatar) await press(app, '选择头像');
  if (name) await app.type('nickName', name);
  await press(app, '保存');
}

function find(app, wanted, node = app.tree()) {
  if (typeof node === 'string') return [];
  return [...(wanted(node) ? [node] : []), ...node.children.flatMap((child) => find(app, wanted, child))];
}

function textOf(node) {
  return typeof node === 'string' ? node : node.children.map(textOf).join('');
}

function message(app) {
  return find(app, ({ attrs }) => attrs.class === 'message').map(textOf).join();
}

function pictures(app) {
  return find(app, ({ tag }) => tag === 'image').map(({ attrs }) => attrs.src);
}

test('the first launch logs in once, without a question, and greets a stranger', async (t) => {
  const phone = phoneOfToday();
  const app = launch(t, phone);
  assert.ok(app.shows('正在登录…'));
  assert.deepEqual(app.buttons(), []);
  await app.idle();
  assert.ok(app.shows('你好，新朋友'));
  assert.deepEqual(app.buttons(), ['我的资料', '刷新']);
  assert.deepEqual(phone.device.seen.requests, ['POST /onLogin 200']);
});

test('a chosen avatar and a typed name are kept, and known on the next phone', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  assert.ok(app.shows('资料还不完整'));
  await fillIn(app, { avatar: true, name: '小明 🐼' });
  assert.ok(app.shows('小明 🐼') && app.shows('资料已完整'));
  assert.equal(app.toast().title, '已保存');
  assert.deepEqual(app.buttons(), ['修改资料', '同步微信资料', '绑定手机号', '退出登录']);
  const [avatar] = pictures(app);
  const picture = await fetch(avatar);
  assert.equal(picture.headers.get('content-type'), 'image/jpeg');

  app.back();
  await app.idle();
  assert.ok(app.shows('你好，小明 🐼'));
  assert.deepEqual(pictures(app), [avatar]);

  const next = await open(t, phoneOfToday(phone.user));
  assert.ok(next.shows('你好，小明 🐼'));
  assert.deepEqual(pictures(next), [avatar]);
});

test('the profile may come in two steps', async (t) => {
  const app = await openProfile(t);
  await fillIn(app, { name: '小红' });
  assert.equal(message(app), '已保存，还差一张头像。');
  assert.ok(app.buttons().includes('选择头像'));
  await fillIn(app, { avatar: true });
  assert.ok(app.shows('小红') && app.shows('资料已完整'));
  assert.equal(message(app), '');
});

test('the picture may come first, and is sent once', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await fillIn(app, { avatar: true });
  assert.equal(message(app), '已保存，还差一个昵称。');
  await fillIn(app, { name: '小黄' });
  assert.ok(app.shows('小黄') && app.shows('资料已完整'));
  assert.equal(phone.device.seen.requests.filter((request) => request === 'POST /uploadAvatar 200').length, 1);
});

test('a profile can be changed', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await fillIn(app, { avatar: true, name: '旧名' });
  const before = pictures(app);
  await press(app, '修改资料');
  assert.deepEqual(find(app, ({ tag }) => tag === 'input').map(({ attrs }) => attrs.value), ['旧名']);
  await fillIn(app, { name: '新名' });
  assert.ok(app.shows('新名') && !app.shows('旧名'));
  assert.deepEqual(pictures(app), before);
  assert.ok((await open(t, phoneOfToday(phone.user))).shows('你好，新名'));
});

test('nothing given is nothing sent', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  const before = phone.device.seen.requests.length;
  await fillIn(app, { name: '   ' });
  assert.equal(message(app), '请先选择头像或填写昵称，再保存。');
  assert.equal(phone.device.seen.requests.length, before);
});

test('a placeholder from WeChat brings a hint, and changes nothing', async (t) => {
  const app = await openProfile(t);
  await press(app, '选择头像');
  await app.type('nickName', '打了一半');
  await press(app, '同步微信资料');
  assert.ok(app.shows('微信不再直接提供头像和昵称，请您自己选择和填写'));
  assert.ok(app.shows('还没有昵称'));
  await press(app, '保存');
  assert.ok(app.shows('打了一半') && app.shows('资料已完整'), 'what was typed and chosen before survived');
});

test('a placeholder does not replace a real profile', async (t) => {
  const phone = takePhone();
  const before = await openProfile(t, phone);
  await press(before, '同步微信资料');
  const app = await openProfile(t, phoneOfToday(phone.user));
  assert.ok(app.shows('资料已完整'));
  await press(app, '同步微信资料');
  assert.ok(app.shows('微信不再直接提供头像和昵称，请您自己选择和填写'));
  assert.ok(app.shows(phone.user) && app.shows('资料已完整'));
  assert.ok(app.buttons().includes('选择头像'));
});

test('a hint that has become wrong is gone', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await press(app, '同步微信资料');
  phone.device.release.anonymous = false;
  await press(app, '同步微信资料');
  await press(app, '修改资料');
  assert.ok(!app.shows('微信不再直接提供头像和昵称'));
});

test('an older release gets the real profile', async (t) => {
  const phone = takePhone();
  const app = await openProfile(t, phone);
  await press(app, '同步微信资料');
  assert.ok(app.shows(phone.user) && app.shows('资料已完整'));
  assert.equal(app.toast().title, '已同步');
  assert.ok(!app.buttons().includes('保存'));
  assert.ok((await open(t, phoneOfToday(phone.user))).shows(`你好，${phone.user}`));
});

for (const [way, old] of [['by a code', false], ['the old way', true]]) {
  test(`a phone number is bound ${way}, and shown in part`, async (t) => {
    const phone = phoneOfToday();
    const app = await openProfile(t, phone);
    await press(app, '绑定手机号', { old });
    const shown = find(app, ({ tag }) => tag === 'text').map(textOf).find((text) => text.startsWith('手机号'));
    assert.match(shown, /^手机号 \d{3}\*{4}\d{4}$/);
    assert.ok(!app.buttons().includes('绑定手机号'));

    app.back();
    await app.idle();
    await press(app, '我的资料');
    assert.ok(app.shows(shown), 'still there when the page is opened again');

    await press(app, '退出登录');
    await press(app, '登录');
    await press(app, '我的资料');
    assert.ok(app.shows(shown) && !app.buttons().includes('绑定手机号'), 'the server knows it after a logout too');

    const other = await openProfile(t, phoneOfToday(phone.user));
    assert.ok(other.shows(shown) && !other.buttons().includes('绑定手机号'), 'on the next phone too');
    assert.equal(phone.device.seen.requests.filter((request) => request.includes('/bindPhone')).length, 1);
  });
}

test('a refused phone number is no drama', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await app.type('nickName', '打了一半');
  const before = phone.device.seen.requests.length;
  await press(app, '绑定手机号', { deny: true });
  assert.equal(message(app), '您没有同意授权，什么都没有改变，需要时可以再试一次。');
  assert.equal(phone.device.seen.requests.length, before);

  await press(app, '绑定手机号');
  assert.equal(message(app), '');
  assert.ok(!app.buttons().includes('绑定手机号'));
  await press(app, '保存');
  assert.ok(app.shows('打了一半'));
});

test('a used-up quota of phone numbers is told', async (t) => {
  const phone = phoneOfToday();
  phone.device.getPhoneNumber = async () => ({ errMsg: 'getPhoneNumber:fail', errno: 1400001 });
  const app = await openProfile(t, phone);
  await press(app, '绑定手机号');
  assert.equal(message(app), '暂时无法验证手机号，请以后再试。');
});

test('who logs out stays logged out, over relaunches, until asking to log in', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await fillIn(app, { avatar: true, name: '小李' });
  await press(app, '退出登录');
  assert.ok(app.shows('您已退出登录') && !app.shows('小李'));
  assert.deepEqual(app.buttons(), ['登录']);
  assert.deepEqual(pictures(app), []);
  assert.equal(phone.device.seen.requests.at(-1), 'POST /logout 200');
  app.stop();

  const before = phone.device.seen.requests.length;
  const again = await open(t, phone);
  assert.ok(again.shows('您已退出登录'));
  assert.equal(phone.device.seen.requests.length, before, 'nobody was asked');
  await press(again, '登录');
  assert.ok(again.shows('你好，小李'));
  again.stop();

  const third = await open(t, phone);
  assert.ok(third.shows('你好，小李'), 'the logout is over');
});

test('home shows nothing of a user who is logged out', async (t) => {
  const phone = phoneOfToday();
  const profile = await openProfile(t, phone);
  await fillIn(profile, { avatar: true, name: '小孙' });
  const app = await open(t, phone);
  assert.equal(pictures(app).length, 1);
  await app.require('utils/wxlogin.js').logout();
  await press(app, '刷新');
  assert.ok(app.shows('您已退出登录') && !app.shows('小孙'));
  assert.deepEqual(pictures(app), []);
});

test('the profile sends home who is logged out', async (t) => {
  const app = await open(t);
  await app.require('utils/wxlogin.js').logout();
  await press(app, '我的资料');
  assert.ok(app.shows('您已退出登录'));
  assert.deepEqual(app.buttons(), ['登录']);
});

test('a logout works without the server', async (t) => {
  const front = await startFront(t, server);
  const phone = phoneOfToday();
  const app = await openProfile(t, phone, front.url);
  front.away = true;
  await press(app, '退出登录');
  assert.ok(app.shows('您已退出登录'));
  front.away = false;
  await press(app, '登录');
  assert.ok(app.shows('你好，新朋友'));
});

test('the next launch needs no login, and knows the profile', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await fillIn(app, { avatar: true, name: '小王' });
  app.stop();
  const before = phone.device.seen.requests.length;
  const again = await open(t, phone);
  assert.ok(again.shows('你好，小王'));
  assert.deepEqual(phone.device.seen.requests.slice(before), ['GET /userInfo 200']);
  assert.equal(phone.device.seen.logins, 1);
});

test('refresh brings what was changed elsewhere', async (t) => {
  const phone = phoneOfToday();
  const app = await open(t, phone);
  const elsewhere = await openProfile(t, phoneOfToday(phone.user));
  await fillIn(elsewhere, { avatar: true, name: '别处' });
  assert.ok(app.shows('你好，新朋友'));
  await press(app, '刷新');
  assert.ok(app.shows('你好，别处'));
  assert.equal(app.toast().title, '已刷新');
});

test('a network that is away is told, and a second try helps', async (t) => {
  const front = await startFront(t, server);
  front.away = true;
  const app = await open(t, phoneOfToday(), front.url);
  assert.equal(message(app), '网络连接不上，请检查网络后再试。');
  assert.deepEqual(app.buttons(), ['重试']);
  front.away = false;
  await press(app, '重试');
  assert.ok(app.shows('你好，新朋友'));
  assert.equal(message(app), '');

  front.away = true;
  await press(app, '刷新');
  assert.equal(message(app), '网络连接不上，请检查网络后再试。');
  assert.ok(app.shows('你好，新朋友'), 'what is known stays');
  await press(app, '我的资料');
  assert.deepEqual(app.buttons(), ['重试']);
  front.away = false;
  await press(app, '重试');
  assert.ok(app.buttons().includes('保存'));
  app.back();
  await app.idle();
  assert.equal(message(app), '');
});

test('what was typed and chosen survives an error', async (t) => {
  const front = await startFront(t, server);
  const phone = phoneOfToday();
  const app = await openProfile(t, phone, front.url);
  front.away = true;
  await fillIn(app, { avatar: true, name: '小赵' });
  assert.equal(message(app), '网络连接不上，请检查网络后再试。');
  assert.equal(pictures(app).length, 1, 'the chosen picture is still shown');
  front.away = false;
  await press(app, '保存');
  assert.ok(app.shows('小赵') && app.shows('资料已完整'));
});

test('a name that was kept before its picture was refused is not lost', async (t) => {
  const front = await startFront(t, server);
  const app = await openProfile(t, phoneOfToday(), front.url);
  front.answers.set('POST /uploadAvatar', [422, { code: 'invalid_picture', action: 'none' }]);
  await fillIn(app, { avatar: true, name: '小钱' });
  assert.equal(message(app), '这张图片不能使用，请换一张。');
  front.answers.clear();
  await press(app, '选择头像');
  assert.equal(message(app), '');
  await press(app, '保存');
  assert.ok(app.shows('小钱') && app.shows('资料已完整'));
});

test('a name that the server does not take is told', async (t) => {
  const app = await openProfile(t);
  await fillIn(app, { name: 'abc\u202edef' }); // a turn of direction
  assert.equal(message(app), '填写的内容不能使用，请修改后再试（昵称为 1 到 32 个字）。');
});

const REFUSED = 'refused-1'; // a request id
const LOGIN_PROBLEMS = [
  ['a busy WeChat', [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '30' }],
    '微信现在比较忙，请 30 秒后再试。'],
  ['a busy server', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '45' }],
    '服务器现在比较忙，请 45 秒后再试。'],
  ['too many requests', [429, { code: 'rate_limited', action: 'retry' }, { 'Retry-After': '60' }],
    '操作太频繁了，请 1 分钟后再试。'],
  ['a blocked user', [403, { code: 'user_blocked', action: 'none' }],
    '您的账号目前不能使用，如有疑问请联系客服。'],
  ['a misconfigured server', [503, { code: 'misconfigured', action: 'none' }],
    '小程序的设置有误，请联系客服，我们会尽快处理。'],
  ['a fault of the server', [500, { code: 'internal', action: 'none', requestId: REFUSED }],
    `没有成功，请稍后再试；如果总是这样，请把编号 ${REFUSED} 告诉客服。`],
  ['a proxy without a server', [502, {}],
    '服务器现在比较忙，请稍后再试。'],
];

for (const [what, answer, sentence] of LOGIN_PROBLEMS) {
  test(`${what} is told at launch, and later on`, async (t) => {
    const front = await startFront(t, server);
    front.answers.set('POST /onLogin', answer);
    const app = await open(t, phoneOfToday(), front.url);
    assert.equal(message(app), sentence);
    assert.deepEqual(app.buttons(), ['重试']);

    front.answers.clear();
    const later = await open(t, phoneOfToday(), front.url);
    front.answers.set('GET /userInfo', answer);
    await press(later, '刷新');
    assert.equal(message(later), sentence);
    assert.ok(later.shows('你好，新朋友'));
    front.answers.clear();
    await press(later, '刷新');
    assert.equal(message(later), '');
  });
}

// A second tap may come before the page is drawn again, when its buttons are not yet disabled.
test('double taps do not send twice', async (t) => {
  const phone = phoneOfToday();
  const app = await open(t, phone);
  const twice = async (tap) => {
    const before = phone.device.seen.requests.length;
    await Promise.all([tap(), tap()]);
    await app.idle();
    return phone.device.seen.requests.slice(before);
  };
  const on = (text) => {
    const [button] = find(app, (node) => node.tag === 'button' && textOf(node) === text);
    return () => app.press(button);
  };
  assert.deepEqual(await twice(on('刷新')), ['GET /userInfo 200']);
  assert.deepEqual(await twice(on('我的资料')), ['GET /userInfo 200']);
  app.back();
  await app.idle();
  assert.deepEqual(app.buttons(), ['我的资料', '刷新'], 'there was one page to leave');
  await press(app, '我的资料');
  const [form] = find(app, ({ tag }) => tag === 'form');
  const submit = () => app.dispatch(form, 'submit', { value: { nickName: '快手' } });
  assert.deepEqual(await twice(submit), ['POST /updateUserInfo 200']);
  assert.deepEqual(await twice(on('同步微信资料')), ['POST /updateUserInfo 200']);
  assert.deepEqual(await twice(on('绑定手机号')), ['POST /bindPhone 200']);
  assert.deepEqual(await twice(on('退出登录')), ['POST /logout 200']);
  assert.deepEqual(await twice(on('登录')), ['POST /onLogin 200']);
  assert.equal(phone.device.seen.loginsMost, 1);
});

test('one button works at a time', async (t) => {
  const app = await openProfile(t);
  await app.type('nickName', '慢慢来');
  const saving = app.tap('保存');
  assert.deepEqual(app.buttons(), []);
  const working = find(app, ({ attrs }) => attrs.loading === true);
  assert.deepEqual(working.map(textOf), ['保存']);
  await saving;
  assert.deepEqual(app.buttons(), ['选择头像', '保存', '同步微信资料', '绑定手机号', '退出登录']);
});

test('who does not agree to the privacy guide is asked to', async (t) => {
  const phone = phoneOfToday();
  phone.wx.requirePrivacyAuthorize = ({ fail }) => fail({ errMsg: 'requirePrivacyAuthorize:fail' });
  const app = await openProfile(t, phone);
  assert.equal(message(app), '请先同意隐私保护指引，再选择头像和填写昵称。');
});

test('a name that WeChat refuses is told, and not sent', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  const before = phone.device.seen.requests.length;
  phone.device.reviewNickname = () => false;
  await app.type('nickName', '不可以');
  assert.equal(message(app), '这个昵称没有通过微信的检查，请换一个。');
  await press(app, '保存');
  assert.equal(phone.device.seen.requests.length, before);

  phone.device.reviewNickname = () => true;
  await app.type('nickName', '可以');
  await press(app, '保存');
  assert.ok(app.shows('可以'));
});

test('a check of the name that took too long refuses nothing', async (t) => {
  const app = await openProfile(t);
  const [input] = find(app, ({ tag }) => tag === 'input');
  await app.dispatch(input, 'nicknamereview', { pass: false, timeout: true });
  assert.equal(message(app), '');
});

test('an avatar that was not chosen leaves the one before, and says why where that helps', async (t) => {
  const app = await openProfile(t);
  await press(app, '选择头像');
  const chosen = app.page().data.chosenAvatar;
  const [chooser] = find(app, ({ attrs }) => attrs['open-type'] === 'chooseAvatar');
  for (const [type, errMsg, told] of [
    ['error', 'chooseAvatar:fail cancel', ''], ['chooseavatar', 'chooseAvatar:fail cancel', ''],
    ['error', 'chooseAvatar:fail api scope is not declared in the privacy agreement', '小程序的配置有误，这项功能暂时无法使用，请联系客服。'],
  ]) {
    await app.dispatch(chooser, type, { errMsg });
    assert.equal(message(app), told);
    assert.equal(app.page().data.chosenAvatar, chosen);
  }
});

test('a picture that the phone has lost is to be chosen again', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await press(app, '选择头像');
  const { fileOf } = phone.device;
  phone.device.fileOf = () => undefined;
  await fillIn(app, { name: '小明' });
  assert.equal(message(app), '图片已失效，请重新选择。');
  assert.equal(app.page().data.chosenAvatar, '');
  phone.device.fileOf = fileOf;
  await fillIn(app, { avatar: true });
  assert.ok(app.shows('小明') && app.shows('资料已完整'));
});

test('a number that an older server does not tell again stays on the page', async (t) => {
  const front = await startFront(t, server);
  const app = await openProfile(t, phoneOfToday(), front.url);
  await press(app, '绑定手机号');
  const { phoneNumber } = app.page().data;
  const userInfo = { nickName: '小明', avatarUrl: '' };
  front.answers.set('POST /updateUserInfo', [200, { profileComplete: false, userInfo }]);
  await fillIn(app, { name: '小明' });
  assert.ok(phoneNumber && app.shows(phoneNumber) && !app.buttons().includes('绑定手机号'));
});

test('a launch and coming back to a page do not undo a logout', async (t) => {
  const phone = phoneOfToday();
  const app = await openProfile(t, phone);
  await press(app, '退出登录');
  const { logins } = phone.device.seen;
  for (let launches = 0; launches < 2; launches++) {
    const again = await open(t, phone);
    assert.ok(again.shows('您已退出登录'));
    await again.page().onShow();
    assert.deepEqual(again.buttons(), ['登录']);
  }
  assert.equal(phone.device.seen.logins, logins);
});
