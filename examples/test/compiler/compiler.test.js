// WeChat's own compiler of WXML and WXSS reads the mini-program, and makes of its pages what the phone makes of them. It is
// a package (npm ci) with a program inside for Linux, macOS and Windows on x86-64.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { wxmlToJs, wxssToJs } = require('miniprogram-compiler');
const { readFolder } = require('../../phone/folder.js');
const { parse, render } = require('../../phone/wxml.js');

const folder = path.join(__dirname, '../../miniprogram');
const { texts } = readFolder(folder);
const pages = JSON.parse(texts.get('app.json')).pages;

// What the pages' data may be; every combination is tried.
const VALUES = {
  state: ['loading', 'ready', 'loggedOut', 'failed'],
  userInfo: [{ nickName: '', avatarUrl: '' }, { nickName: '小明 🐼', avatarUrl: 'https://a.example/1.jpg' }],
  profileComplete: [false, true],
  editing: [false, true],
  chosenAvatar: ['', 'wxfile://tmp/1.jpg'],
  nameAtFirst: ['小明 🐼'],
  phoneNumber: ['', '138****1234'],
  busy: ['', 'save', 'sync', 'phone', 'logout', 'refresh'],
  hint: ['', '请您自己选择'],
  message: ['', '网络连接不上'],
};

function combinations(values) {
  return Object.entries(values).reduce((before, [name, some]) => (
    before.flatMap((one) => some.map((value) => ({ ...one, [name]: value })))), [{}]);
}

// theirs is a node of the compiler's in the phone's form: if-branches have nodes of their own there.
function theirs(node) {
  if (typeof node === 'string') return node.trim() === '' ? [] : [node.trim()];
  const children = node.children.flatMap(theirs);
  if (node.tag === 'virtual') return children;
  const attrs = {};
  const on = {};
  for (const [name, value] of Object.entries(node.attr || {})) {
    const event = /^(?:bind|catch):?(.+)/.exec(name);
    if (event) on[event[1]] = value;
    else attrs[name.replace(/[A-Z]/g, (letter) => '-' + letter.toLowerCase())] = value;
  }
  return [{ tag: node.tag.replace(/^wx-/, ''), attrs, on, children }];
}

function ours(node) {
  if (typeof node === 'string') return node.trim() === '' ? [] : [node.trim()];
  return [{ tag: node.tag, attrs: node.attrs, on: node.on, children: node.children.flatMap(ours) }];
}

test('the pages are what the phone takes them for', () => {
  const compiled = new Function('global', 'window', wxmlToJs(folder))({}, { __webview_engine_version__: 0.02 });
  for (const page of pages) {
    const makeTree = compiled(`${page}.wxml`);
    const template = parse(texts.get(`${page}.wxml`), `${page}.wxml`);
    for (const data of combinations(VALUES)) {
      assert.deepEqual(ours(render(template, data)), theirs(makeTree(data)), `${page} with ${JSON.stringify(data)}`);
    }
  }
});

test('the styles are styles', () => {
  const compiled = wxssToJs(folder); // throws, without saying why, where one is malformed
  for (const file of ['app', ...pages]) assert.ok(compiled.includes(`'${file}.wxss': setCssToHead(`), `${file}.wxss`);
});
