// The example's pages: what they do at each tap, against the demo. What they show of their data is the matter of test/compiler.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { startApp } = require('./page.js');
const { server, takePhone } = require('./phone.js');
const {
  GET_USER, UPDATE, UPLOAD, LOGIN, LOGOUT, BIND, UNBIND, DELETE, goAway, comeBack, answering,
} = require('./session.js');

const HOME = 'pages/index/index';
const PROFILE = 'pages/profile/profile';
const NETWORK = '网络连接不上，请检查网络后再试。';
const HINT = '微信不再直接提供头像和昵称，请您自己选择和填写';
const CONFIG = { 'config.js': `module.exports = { server: '${server}' };` };

const phoneOfToday = (user) => takePhone({ user, anonymous: true });

/** open opens the mini-program, and waits until it has logged in; openProfile also opens its page 我的资料. */
async function open(t, phone) {
  const app = startApp(t, phone, CONFIG);
  await app.idle();
  return app;
}

async function openProfile(t, phone) {
  const app = await open(t, phone);
  await play(app, [['我的资料', PROFILE]]);
  return app;
}

/**
 * play does steps one after the other. A step is the text of a button, or a function of the app. What may follow it is expected
 * when all is quiet: a page, or parts of the page's data, of which name is userInfo.nickName.
 */
async function play(app, steps) {
  for (const [step, ...expected] of steps) {
    await (typeof step === 'string' ? app.press(step) : step(app));
    await app.idle();
    for (const each of expected) assertPage(app.page, each);
  }
}

function assertPage({ route, data }, expected) {
  if (typeof expected === 'string') {
    assert.equal(route, expected);
    return;
  }
  const actual = { ...data, name: data.userInfo.nickName };
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, actual[key]])), expected);
}

const complete = (name) => ({ state: 'ready', name, profileComplete: true, editing: false, message: '' });
const greets = (name) => ({ state: 'ready', name });
const LOGGED_OUT = { state: 'loggedOut', message: '' };

const type = (name) => (app) => app.type(name);
const back = (app) => app.back();
const on = (step) => ({ phone }) => step(phone);
const fillIn = (name) => [['选择头像'], [type(name)]];

/** home and profile are tests that begin on one of the pages. requests: those that follow. */
function begin(take, name, steps, { requests, phone = phoneOfToday() } = {}) {
  test(name, async (t) => {
    const app = Object.assign(await take(t, phone), { t });
    phone.seen.requests.length = 0;
    await (typeof steps === 'function' ? steps(app) : play(app, steps));
    if (requests) assert.deepEqual(phone.seen.requests, requests);
  });
}

const home = (...given) => begin(open, ...given);
const profile = (...given) => begin(openProfile, ...given);

// --- Logins.

test('the first launch logs in once, without a question, and greets a stranger', async (t) => {
  const phone = phoneOfToday();
  const app = startApp(t, phone, CONFIG);
  assertPage(app.page, { state: 'loading' });
  await app.idle();
  assertPage(app.page, { ...greets(''), profileComplete: false, busy: '' });
  assert.deepEqual(phone.seen.requests, [LOGIN]);
});

profile('after a logout the user stays logged out, over relaunches, until 登录', async (app) => {
  const { phone, t } = app;
  await play(app, [...fillIn('小李'), ['保存'], ['退出登录', HOME, { ...LOGGED_OUT, name: '' }]]);
  assert.equal(phone.seen.requests.at(-1), LOGOUT);
  phone.seen.requests.length = 0;
  let again;
  for (let launches = 0; launches < 2; launches++) {
    again = await open(t, phone);
    await play(again, [[({ page }) => page.onShow(), HOME, LOGGED_OUT]]);
  }
  assert.deepEqual(phone.seen.requests, []);
  await play(again, [['登录', greets('小李')]]);
  assertPage((await open(t, phone)).page, greets('小李')); // the logout is over
});

for (const button of ['刷新', '我的资料']) {
  home(`after a logout by other code, ${button} leads to the logged-out home`, [
    [({ require }) => require('utils/wxlogin.js').logout()], [button, HOME, LOGGED_OUT],
  ]);
}

profile('a logout works without the server', [[on(goAway)], ['退出登录', HOME, LOGGED_OUT], [on(comeBack)], ['登录', greets('')]]);

home('a network that is away is reported, and a second try helps', [
  [on(goAway)], ['刷新', { state: 'ready', message: NETWORK }], // what is known stays
  ['我的资料', PROFILE, { state: 'failed', message: NETWORK }], [on(comeBack)], ['重试', { state: 'ready', editing: true }],
  [back, HOME, { message: '' }],
]);

for (const [what, fail, message] of [
  ['a network that is away', goAway, NETWORK],
  ['a busy WeChat', answering('*', [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '30' }]),
    '微信现在比较忙，请 30 秒后再试。'],
]) {
  home(`${what} is reported at launch, and later on, and a second try helps`, async (app) => {
    const phone = phoneOfToday();
    fail(phone);
    const failed = await open(app.t, phone);
    assertPage(failed.page, { state: 'failed', message });
    await play(app, [[on(fail)], ['刷新', { state: 'ready', message }], [on(comeBack)], ['刷新', { message: '' }]]);
    if (fail === goAway) await play(failed, [[on(comeBack)], ['重试', { ...greets(''), message: '' }]]);
  });
}

// --- The profile.

profile('a chosen avatar and a typed name are kept, and known on the next phone and at the next launch', async (app) => {
  const { phone, t } = app;
  await play(app, [[() => {}, { profileComplete: false, editing: true }], ...fillIn('小明 🐼'), ['保存', complete('小明 🐼')]]);
  assert.deepEqual(app.toasts, ['已保存']);
  const { avatarUrl } = app.page.data.userInfo;
  assert.equal((await fetch(avatarUrl)).headers.get('content-type'), 'image/jpeg');
  await play(app, [[back, HOME]]);
  phone.seen.requests.length = 0;
  const again = await open(t, phone);
  assert.deepEqual([phone.seen.requests, phone.seen.logins], [[GET_USER], 1]);
  for (const each of [app, again, await open(t, phoneOfToday(phone.user))]) {
    assertPage(each.page, greets('小明 🐼'));
    assert.equal(each.page.data.userInfo.avatarUrl, avatarUrl);
  }
});

profile('the name may come before the picture', [
  [type('小红')], ['保存', { message: '已保存，还差一张头像。', editing: true }], ['选择头像'], ['保存', complete('小红')],
], { requests: [UPDATE, UPDATE, UPLOAD] });

profile('the picture may come before the name, and is sent once', [
  ['选择头像'], ['保存', { message: '已保存，还差一个昵称。', editing: true }], [type('小黄')], ['保存', complete('小黄')],
], { requests: [UPLOAD, UPDATE] });

profile('a profile can be changed', async (app) => {
  await play(app, [...fillIn('旧名'), ['保存']]);
  const { avatarUrl } = app.page.data.userInfo;
  await play(app, [['修改资料', { editing: true, nameAtFirst: '旧名' }], [type('新名')], ['保存', complete('新名')]]);
  assert.equal(app.page.data.userInfo.avatarUrl, avatarUrl);
  assertPage((await open(app.t, phoneOfToday(app.phone.user))).page, greets('新名'));
});

profile('nothing given is nothing sent', [[type('   ')], ['保存', { message: '请先选择头像或填写昵称，再保存。' }]], { requests: [] });

profile('a placeholder from WeChat brings a hint, and what was typed and chosen before survives', [
  ...fillIn('打了一半'), ['同步微信资料', { hint: HINT, name: '' }], ['保存', complete('打了一半')],
]);

profile('a hint that has become wrong is gone', [
  ['同步微信资料'], [({ phone }) => { phone.device.release.anonymous = false; }], ['同步微信资料'], ['修改资料', { hint: '' }],
]);

const older = takePhone();
profile('an older release gets the real profile, which a placeholder does not replace', async (app) => {
  const { user } = older;
  await play(app, [['同步微信资料', complete(user)]]);
  assert.deepEqual(app.toasts, ['已同步']);
  const next = await open(app.t, phoneOfToday(user));
  await play(next, [
    [() => {}, greets(user)], ['我的资料', complete(user)],
    ['同步微信资料', { hint: HINT, name: user, profileComplete: true, editing: true }],
  ]);
}, { phone: older });

home('refresh brings what was changed elsewhere', async (app) => {
  await play(await openProfile(app.t, phoneOfToday(app.phone.user)), [...fillIn('别处'), ['保存']]);
  await play(app, [[() => {}, greets('')], ['刷新', greets('别处')]]);
  assert.deepEqual(app.toasts, ['已刷新']);
});

profile('what was typed and chosen survives an error', [
  [on(goAway)], ...fillIn('小赵'), ['保存', { message: NETWORK, editing: true }], [({ page }) => assert.ok(page.data.chosenAvatar)],
  [on(comeBack)], ['保存', complete('小赵')],
]);

profile('a name that was kept before its picture was refused is not lost', [
  [on(answering('POST /uploadAvatar', [422, { code: 'invalid_picture', action: 'none' }]))], ...fillIn('小钱'),
  ['保存', { message: '这张图片不能使用，请换一张。' }], [on(comeBack)], ['选择头像', { message: '' }], ['保存', complete('小钱')],
]);

const allowing = (pass) => (app) => { app.allowsNickname = pass; };

profile('a name that WeChat refuses is reported, and not sent', [
  [allowing(false)], [type('不可以'), { message: '这个昵称没有通过微信的检查，请换一个。' }], ['保存'],
  [({ phone }) => assert.deepEqual(phone.seen.requests, [])], [allowing(true)], [type('可以')], ['保存', { name: '可以' }],
]);

profile('a check of the name that took too long refuses nothing', [
  [(app) => app.call('nicknamereview', { pass: false, timeout: true }), { message: '' }],
]);

profile('an avatar that was not chosen leaves the one before, and says why if that helps', async (app) => {
  await play(app, [['选择头像']]);
  const { chosenAvatar } = app.page.data;
  for (const [event, errMsg, message] of [
    ['error', 'chooseAvatar:fail cancel', ''], ['chooseavatar', 'chooseAvatar:fail cancel', ''],
    ['error', 'chooseAvatar:fail api scope is not declared in the privacy agreement', '小程序的配置有误，这项功能暂时无法使用，请联系客服。'],
  ]) await play(app, [[() => app.call(event, { errMsg }), { message, chosenAvatar }]]);
});

profile('a picture that the phone has lost is to be chosen again', async (app) => {
  const { device } = app.phone;
  const { fileOf } = device;
  await play(app, [
    ['选择头像'], [() => { device.fileOf = () => undefined; }], [type('小明')],
    ['保存', { message: '图片已失效，请重新选择。', chosenAvatar: '' }],
    [() => { device.fileOf = fileOf; }], ['选择头像'], ['保存', complete('小明')],
  ]);
});

const unwilling = phoneOfToday();
unwilling.wx.requirePrivacyAuthorize = ({ fail }) => fail({ errMsg: 'requirePrivacyAuthorize:fail' });
profile('without consent to the privacy guide the user is asked for it', [
  [() => {}, { message: '请先同意隐私保护指引，再选择头像和填写昵称。' }],
], { phone: unwilling });

// --- The phone number.

profile('a phone number is bound, and known in part from then on', async (app) => {
  await play(app, [['绑定手机号']]);
  const { phoneNumber } = app.page.data;
  assert.match(phoneNumber, /^\d{3}\*{4}\d{4}$/);
  await play(app, [
    [back, HOME], ['我的资料', { phoneNumber }], ['退出登录'], ['登录'], ['我的资料', { phoneNumber }],
  ]);
  assertPage((await openProfile(app.t, phoneOfToday(app.phone.user))).page, { phoneNumber });
  assert.equal(app.phone.seen.requests.filter((request) => request === BIND).length, 1);
});

profile('a refused phone number changes nothing', [
  [type('打了一半')],
  [(app) => app.press('绑定手机号', { deny: true }), { message: '您没有同意授权，什么都没有改变，需要时可以再试一次。', phoneNumber: '' }],
  [({ phone }) => assert.deepEqual(phone.seen.requests, [])],
  ['绑定手机号', { message: '' }], [({ page }) => assert.ok(page.data.phoneNumber)], ['保存', { name: '打了一半' }],
]);

profile('a number that an older server does not repeat stays on the page', async (app) => {
  await play(app, [['绑定手机号']]);
  const { phoneNumber } = app.page.data;
  assert.ok(phoneNumber);
  await play(app, [
    [on(answering('POST /updateUserInfo', [200, { profileComplete: false, userInfo: { nickName: '小明', avatarUrl: '' } }]))],
    [type('小明')], ['保存', { phoneNumber }],
  ]);
});

const agreeing = (agrees) => (app) => { app.agrees = agrees; };

profile('a phone number is unbound once the user has confirmed it, and another one can be bound', async (app) => {
  await play(app, [['绑定手机号']]);
  const { phoneNumber } = app.page.data;
  app.phone.seen.requests.length = 0;
  await play(app, [
    [agreeing(false)], ['解绑手机号', { phoneNumber, busy: '', message: '' }],
    [on(goAway)], [agreeing(true)], ['解绑手机号', { phoneNumber, busy: '', message: NETWORK }],
    [on(comeBack)], ['解绑手机号', { phoneNumber: '', message: '' }], [back, HOME], ['我的资料', { phoneNumber: '' }],
    ['绑定手机号', { phoneNumber }],
  ]);
  assert.deepEqual(app.modals, Array(3).fill('解绑手机号'));
  assert.deepEqual(app.toasts, ['已解绑']);
  assert.deepEqual(app.phone.seen.requests, [UNBIND, GET_USER, GET_USER, BIND]);
});

// --- The account.

const DELETED = { ...LOGGED_OUT, deleted: true };

profile('an account is deleted once the user has confirmed it; only 登录 makes another', async (app) => {
  const { phone, t } = app;
  await play(app, [...fillIn('小周'), ['保存'], ['绑定手机号']]);
  phone.seen.requests.length = 0;
  await play(app, [[agreeing(false)], ['注销账号', PROFILE, { ...complete('小周'), busy: '' }]]);
  assert.deepEqual([phone.seen.requests, app.modals], [[], ['注销账号']]);
  await play(app, [[agreeing(true)], ['注销账号', HOME, { ...DELETED, name: '' }], [({ page }) => page.onShow(), HOME, DELETED]]);
  assert.deepEqual(phone.seen.requests, [DELETE]);
  const again = await open(t, phone);
  assertPage(again.page, { ...LOGGED_OUT, deleted: false });
  assert.deepEqual(phone.seen.requests, [DELETE]);
  await play(again, [['登录', greets('')], ['我的资料', { phoneNumber: '', profileComplete: false }]]);
  await play(app, [['登录', { ...greets(''), deleted: false }]]);
});

for (const [what, fail, message] of [
  ['a network that is away', goAway, NETWORK],
  ['a user who is blocked', answering('POST /deleteAccount', [403, { code: 'user_blocked', action: 'none' }]),
    '您的账号目前不能使用，如有疑问请联系客服。'],
  ['a session that stays too old', answering('POST /deleteAccount', [401, { code: 'stale_session', action: 'relogin' }]),
    '为了保障您的账号安全，这项操作需要重新登录，请再试一次。'],
]) {
  profile(`${what} leaves the account as it is, and says so`, [
    ...fillIn('小吴'), ['保存'], [on(fail)], ['注销账号', PROFILE, { ...complete('小吴'), message, busy: '' }],
    [on(comeBack)], [back, HOME, greets('小吴')], ['我的资料'], ['注销账号', HOME, DELETED],
  ]);
}

// --- What the server refuses.

const API = readFileSync(path.join(__dirname, '../../docs/api.md'), 'utf8');
const REFUSALS = Array.from(API.matchAll(/^\| (\d{3}) \| `(\w+)` \|/gm), ([, status, code]) => [Number(status), code]);
const OF_PROGRAMS = ['invalid_api_key', 'forbidden', 'method_not_allowed', 'conflict', 'unsupported_media_type']; // not this one

profile('each refusal is explained', async (app) => {
  const met = REFUSALS.filter(([, code]) => !OF_PROGRAMS.includes(code));
  assert.ok(met.length >= 14, String(met));
  for (const [status, code] of met) {
    const refuse = answering('POST /updateUserInfo', [status, { code, action: 'none', requestId: 'r-7' }]);
    await play(app, [[on(refuse)], [type('小郑')], ['保存', { editing: true, busy: '' }]]);
    assert.match(app.page.data.message, code === 'internal' ? /请把编号 r-7 告诉客服。$/ : /^(?!没有成功)[\u4e00-\u9fff].*。$/, code);
  }
});

// --- Taps.

// A second tap may come before the page is drawn again, when its buttons are not yet disabled.
home('double taps do not send twice', async (app) => {
  const { seen } = app.phone;
  const phone = await app.phone.device.getPhoneNumber(); // before the taps, so that nothing comes between their events
  const tap = (text) => (text === '绑定手机号' ? app.call('getphonenumber', phone) : app.press(text));
  const twice = (text, request, ...expected) => [async () => {
    seen.requests.length = 0;
    await Promise.all([tap(text), tap(text)]);
    await app.idle();
    assert.deepEqual(seen.requests, [request]);
  }, ...expected];
  await play(app, [
    twice('刷新', GET_USER), twice('我的资料', GET_USER, PROFILE),
    [back, HOME], ['我的资料'], [type('快手')], // there was one page to leave
    twice('保存', UPDATE), twice('同步微信资料', UPDATE), twice('绑定手机号', BIND),
    twice('解绑手机号', UNBIND), twice('退出登录', LOGOUT), twice('登录', LOGIN), ['我的资料'], twice('注销账号', DELETE),
  ]);
  assert.equal(seen.loginsMost, 1);
});

profile('one button works at a time', async (app) => {
  await app.type('慢慢来');
  const saving = app.press('保存');
  assertPage(app.page, { busy: 'save' });
  await saving;
  assertPage(app.page, { busy: '', editing: true });
});
