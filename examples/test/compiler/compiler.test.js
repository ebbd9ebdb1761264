// WeChat's own compiler of WXML and WXSS takes the mini-program, and what it makes of the pages shows the right things in every
// state. It is a package (npm ci) with a program inside for Linux, macOS and Windows on x86-64.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { wxmlToJs, wxssToJs } = require('miniprogram-compiler');

const folder = path.join(__dirname, '../../miniprogram');
const { pages } = require('../../miniprogram/app.json');
// The compiler's JavaScript extends the prototypes around it, harmlessly: this file has a process of its own.
const warnings = [];
const generatorOf = new Function('global', 'window', 'console', wxmlToJs(folder))(
  {}, { __webview_engine_version__: 0.02 }, { warn: (text) => warnings.push(text) });

function pageOf(route) {
  let definition;
  globalThis.Page = (given) => { definition = given; };
  delete require.cache[require.resolve(path.join(folder, route))];
  require(path.join(folder, route));
  return definition;
}

const textOf = (node) => (node.tag ? node.children.map(textOf).join('') : String(node));

function* walk(node) {
  if (node.tag) yield node;
  for (const child of node.children || []) yield* walk(child);
}

/** shown is what a page with this data shows: texts, and the texts of its buttons that are enabled, or busy. */
function shown(route, data) {
  const page = pageOf(route);
  const nodes = [...walk(generatorOf(`${route}.wxml`)({ ...page.data, ...data }))];
  for (const { attr = {} } of nodes) {
    for (const [name, handler] of Object.entries(attr)) {
      if (name.startsWith('bind:')) assert.equal(typeof page[handler], 'function', handler);
    }
  }
  const all = (tag) => nodes.filter((node) => node.tag === `wx-${tag}`);
  return {
    texts: [...all('text'), ...all('view').filter(({ attr }) => attr.class === 'message')].map(textOf),
    buttons: all('button').filter(({ attr }) => !attr.disabled).map(textOf),
    working: all('button').filter(({ attr }) => attr.loading).map(textOf),
    pictures: all('image').map(({ attr }) => attr.src),
    inputs: all('input').map(({ attr }) => attr.value),
  };
}

const NOTHING = { texts: [], buttons: [], working: [], pictures: [], inputs: [] };
const KNOWN = { profileComplete: true, userInfo: { nickName: '小明', avatarUrl: 'https://a/1' } };
const FORM = ['选择头像', '昵称'];
const READY = ['同步微信资料', '绑定手机号', '退出登录', '注销账号'];
const STRANGER = ['还没有昵称', '资料还不完整'];

for (const [route, states] of Object.entries({
  'pages/index/index': [
    [{}, { texts: ['正在登录…'] }],
    [{ state: 'ready' }, { texts: ['你好，新朋友', '已通过微信自动登录，还没有完善资料'], buttons: ['我的资料', '刷新'] }],
    [{ state: 'ready', ...KNOWN, message: '怎么办' },
      { texts: ['你好，小明', '已通过微信自动登录', '怎么办'], buttons: ['我的资料', '刷新'], pictures: ['https://a/1'] }],
    [{ state: 'ready', ...KNOWN, busy: 'refresh' },
      { texts: ['你好，小明', '已通过微信自动登录'], working: ['刷新'], pictures: ['https://a/1'] }],
    [{ state: 'loggedOut', ...KNOWN }, { texts: ['您已退出登录', '登录后可以继续使用您的资料'], buttons: ['登录'] }],
    [{ state: 'loggedOut', deleted: true }, { texts: ['账号已注销', '您的资料已删除，再次登录将创建新账号'], buttons: ['登录'] }],
    [{ state: 'failed', message: '怎么办' }, { texts: ['还没有登录', '怎么办'], buttons: ['重试'] }],
  ],
  'pages/profile/profile': [
    [{}, { texts: ['正在读取资料…'] }],
    [{ state: 'failed', message: '怎么办' }, { texts: ['怎么办'], buttons: ['重试'] }],
    [{ state: 'ready', editing: true }, { texts: [...STRANGER, ...FORM], buttons: ['选择头像', '保存', ...READY], inputs: [''] }],
    [{ state: 'ready', editing: true, busy: 'save' }, { texts: [...STRANGER, ...FORM], working: ['保存'], inputs: [''] }],
    [{ state: 'ready', ...KNOWN }, { texts: ['小明', '资料已完整'], buttons: ['修改资料', ...READY], pictures: ['https://a/1'] }],
    [{ state: 'ready', ...KNOWN, editing: true, hint: '请您自己选择', nameAtFirst: '旧名', chosenAvatar: 'http://tmp/2', message: '怎么办' }, {
      texts: ['小明', '资料已完整', '请您自己选择', ...FORM, '怎么办'], buttons: ['选择头像', '保存', ...READY],
      pictures: ['https://a/1', 'http://tmp/2'], inputs: ['旧名'],
    }],
    [{ state: 'ready', ...KNOWN, phoneNumber: '138****1234' }, {
      texts: ['小明', '资料已完整', '手机号 138****1234'],
      buttons: ['修改资料', '同步微信资料', '解绑手机号', '退出登录', '注销账号'], pictures: ['https://a/1'],
    }],
    ...[['unbind', '解绑手机号'], ['delete', '注销账号']].map(([busy, text]) => [
      { state: 'ready', ...KNOWN, phoneNumber: '138****1234', busy },
      { texts: ['小明', '资料已完整', '手机号 138****1234'], working: [text], pictures: ['https://a/1'] },
    ]),
  ],
})) {
  test(`${route}: what WeChat's compiler makes of it shows each state`, () => {
    assert.ok(pages.includes(route));
    for (const [data, wanted] of states) assert.deepEqual(shown(route, data), { ...NOTHING, ...wanted }, JSON.stringify(data));
    assert.deepEqual(warnings, []);
  });
}

test('the styles are styles', () => {
  const compiled = wxssToJs(folder); // throws, without saying why, if one is malformed
  for (const file of ['app', ...pages]) assert.ok(compiled.includes(`'${file}.wxss': setCssToHead(`), `${file}.wxss`);
});
