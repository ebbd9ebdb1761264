const assert = require('node:assert/strict');
const { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const test = require('node:test');
const vm = require('node:vm');
const { readFolder } = require('../phone/folder.js');
const { createModules } = require('../phone/modules.js');

// folderOf writes files into a folder that is there as long as the test.
function folderOf(t, files) {
  const dir = mkdtempSync(path.join(tmpdir(), 'phone-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), text);
  }
  return dir;
}

test('a folder becomes a bundle, without what is no part of a mini-program', (t) => {
  const dir = folderOf(t, {
    'app.json': '{}', 'README.md': '', 'app.js': '', 'pages/a/a.wxml': '<view />', 'pages/a/a.wxss': 'view {}', 'pages/a/a.js': '',
    'node_modules/x/x.js': '', 'utils/a.test.txt': '',
  });
  const { factories, texts } = readFolder(dir);
  assert.deepEqual([...factories.keys()].sort(), ['app.js', 'pages/a/a.js']);
  assert.deepEqual([...texts].sort(), [['app.json', '{}'], ['pages/a/a.wxml', '<view />'], ['pages/a/a.wxss', 'view {}']]);
});

test('a module can be replaced, and stack traces name the files\' own lines', (t) => {
  const dir = folderOf(t, {
    'config.js': "module.exports = { server: 'https://real.example' };",
    'utils/a.js': "const { server } = require('../config.js');\n\nfunction fail() {\n  throw new Error(server);\n}\nmodule.exports = { fail };",
  });
  const require = createModules(readFolder(dir, { 'config.js': { server: 'test' } }).factories, {});
  assert.throws(require('utils/a.js').fail, (err) => {
    assert.equal(err.message, 'test');
    return err.stack.includes(path.join(dir, 'utils/a.js') + ':4:');
  });
  const real = createModules(readFolder(dir).factories, {});
  assert.equal(real('config.js').server, 'https://real.example');
});

test('modules find each other by relative paths and by paths from the root', (t) => {
  const dir = folderOf(t, {
    'a/a.js': "exports.name = 'a'; exports.b = require('./b.js'); exports.top = require('/top.js');",
    'a/b.js': "exports.seen = require('../a/a.js').name; exports.bare = require('sub/c.js').name;",
    'a/sub/c.js': "exports.name = 'c';",
    'top.js': "module.exports = 'top';",
    'wrong.js': "require('./a/nothing.js');",
    'broken.js': "globalThis.tries = (globalThis.tries || 0) + 1; throw new Error('broken');",
  });
  const require = createModules(readFolder(dir).factories, {});
  assert.deepEqual(require('a/a.js'), { name: 'a', b: { seen: 'a', bare: 'c' }, top: 'top' });
  assert.equal(require('./a/../a/a.js'), require('a/a.js'));
  assert.throws(() => require('wrong.js'), {
    message: "module 'a/nothing.js' is not defined, require args is './a/nothing.js'",
  });
  t.after(() => { delete globalThis.tries; });
  for (const tries of [1, 2]) {
    assert.throws(() => require('broken.js'), { message: 'broken' });
    assert.equal(globalThis.tries, tries);
  }
});

// What browsers have, of what is not in the language itself.
const BROWSER = [
  'AbortController', 'Blob', 'FormData', 'Headers', 'URL', 'URLSearchParams', 'atob', 'clearTimeout', 'fetch', 'queueMicrotask',
  'setTimeout', 'structuredClone',
];

// In a context of its own there is no require, process or Buffer, as there is none in a browser. The scripts are wrapped
// as they are for the demo's page.
test('the phone runs where there is nothing but what browsers have', async (t) => {
  const dir = path.join(__dirname, '../phone');
  const context = vm.createContext(Object.fromEntries(BROWSER.map((name) => [name, globalThis[name]])));
  const factories = new Map();
  for (const file of readdirSync(dir)) {
    const text = readFileSync(path.join(dir, file), 'utf8');
    const wrapped = `(function (require, module, exports, wx, App, Page, getApp, getCurrentPages) {\n${text}\n})`;
    factories.set(file, vm.runInContext(wrapped, context, { filename: file }));
  }
  const require = createModules(factories, {});
  const { startApp } = require('app.js');
  const { createWx } = require('wx.js');

  const answer = async (url) => new Response(JSON.stringify(String(url).includes('/sim/') ? { code: 'c' } : { hello: 'you' }));
  const program = folderOf(t, {
    'app.js': 'App({});',
    'app.json': '{"pages": ["a"]}',
    'a.js': `Page({ onTap() {
      wx.login({ success: ({ code }) => wx.request({ url: 'https://a.example/' + code, success: ({ data }) => this.setData(data) }) });
    } });`,
    'a.json': '{}',
    'a.wxml': '<button bind:tap="onTap">go</button><text>{{hello}}</text>',
  });
  const app = startApp({
    bundle: readFolder(program), ...createWx({ simulator: 'https://sim.example', user: 'ann', fetch: answer }),
  });
  t.after(() => app.stop());
  await app.tap('go');
  await app.idle();
  assert.ok(app.shows('you'));
  assert.equal(app.errors.length, 0);
});
