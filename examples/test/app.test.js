const assert = require('node:assert/strict');
const test = require('node:test');
const { startApp } = require('../phone/app.js');
const { bundleOf, byHand, page, program, start, taken } = require('./bundle.js');

// turn lets everything happen that waits for nothing more.
function turn() {
  return new Promise((resolve) => { setTimeout(resolve); });
}

function text(app) {
  return app.tree().children.map(({ children }) => children.join('')).join('|');
}

test('the program is launched, then its first page', async (t) => {
  const app = start(t, {
    ...program(page('pages/a/a', '<text>{{said}}</text>', `{
      data: { said: '' },
      onLoad(query) { this.say('load ' + JSON.stringify(query)); },
      onShow() { this.say('show'); },
      onReady() { this.say('ready'); },
      say(what) { getApp().said.push(what); this.setData({ said: getApp().said.join() }); },
    }`)),
    'app.js': `
      const before = typeof getApp();
      App({
        said: [before],
        onLaunch({ path }) { this.said.push('launch ' + path); },
        onShow() { this.said.push('app shown'); },
      });`,
  });
  assert.equal(text(app), 'undefined,launch pages/a/a,app shown,load {},show,ready');
  assert.equal(app.title(), 'Demo');
  assert.equal(app.page().route, 'pages/a/a');
});

test('a program that cannot be started says why', () => {
  const good = program(page('pages/a/a', '<view />'));
  for (const [change, problem] of [
    [{ 'app.json': undefined }, /no file app\.json/],
    [{ 'app.json': '{' }, /^Error: app\.json: /],
    [{ 'app.json': '{}' }, /names no page/],
    [{ 'app.json': '{"pages": ["pages/b/b"]}' }, /no file pages\/b\/b\.js/],
    [{ 'pages/a/a.wxml': undefined }, /no file pages\/a\/a\.wxml/],
    [{ 'pages/a/a.json': 'x' }, /^Error: pages\/a\/a\.json: /],
    [{ 'pages/a/a.wxml': '\n<video />' }, /pages\/a\/a\.wxml:2: .*<video>/],
    [{ 'app.js': '' }, /does not call App/],
    [{ 'app.js': 'App({}); App({});' }, /App\(\) is called twice/],
    [{ 'app.js': 'App({}); Page({});' }, /Page\(\) is called outside/],
    [{ 'app.js': "require('./nothing.js');" }, /module 'nothing\.js' is not defined/],
    [{ 'app.js': "throw new Error('boom');" }, /boom/],
  ]) {
    const files = Object.fromEntries(Object.entries({ ...good, ...change }).filter(([, given]) => given !== undefined));
    assert.throws(() => startApp({ bundle: bundleOf(files), wx: {}, device: {} }), problem);
  }
});

test('a page that cannot be loaded is an error, and stays empty', (t) => {
  for (const [code, problem] of [
    ["throw new Error('boom');", 'boom'],
    ['', 'pages/a/a.js does not call Page()'],
    ['Page({}); Page({});', 'pages/a/a.js calls Page() twice'],
  ]) {
    const app = start(t, { ...program(page('pages/a/a', '<text>{{x}}!</text>')), 'pages/a/a.js': code });
    assert.deepEqual(taken(app), [problem]);
    assert.equal(text(app), '!');
  }
});

test('whatever the code of the program throws is collected, and told', async (t) => {
  const told = [];
  const app = start(t, {
    ...program(page('pages/a/a', '<button bind:tap="onSync">1</button><button bind:tap="onAsync">2</button><button bind:tap="no">3</button>', `{
      onLoad() { throw new Error('load'); },
      async onShow() { throw new Error('show'); },
      onSync() { throw new Error('sync'); },
      async onAsync() { throw 'async'; },
      no: 1,
    }`)),
    'app.js': "App({ async onLaunch() { throw new Error('launch'); } });",
  }, { onError: (err) => told.push(err) });
  await app.idle();
  assert.deepEqual(taken(app).sort(), ['launch', 'load', 'show']);
  for (const label of ['1', '2', '3']) await app.tap(label);
  assert.deepEqual(taken(app), ['sync', 'async', 'pages/a/a has no method "no" for tap']);
  assert.equal(told.length, 6);
});

test('setData changes data by path at once, and what is shown', (t) => {
  const app = start(t, program(page('pages/a/a', '<text>{{user.name}}</text><text>{{list[1].x}}</text><text>{{new.a[0]}}</text>', `{
    data: { user: { name: 'a', id: 1 }, list: [{ x: 1 }, { x: 2 }] },
  }`)));
  const instance = app.page();
  assert.equal(text(app), 'a|2|');
  instance.setData({ 'user.name': 'b', 'list[1].x': 3, 'new.a[0]': 'c', 'list[0]': null, 'list[0].x': 7, 'a-b': 0 });
  assert.deepEqual(instance.data, {
    user: { name: 'b', id: 1 }, list: [{ x: 7 }, { x: 3 }], new: { a: ['c'] }, 'a-b': 0,
  });
  assert.equal(text(app), 'b|3|c');
});

test('setData refuses what WeChat does not take', (t) => {
  const app = start(t, program(page('pages/a/a', '<text>{{a}}</text>', '{ data: { a: 1 } }')));
  const instance = app.page();
  for (const key of ['', 'a.', '.a', 'a..b', 'a[', 'a[x]', 'a]', 'a[0]b', '[0]', '__proto__.x', 'a.constructor', 'prototype']) {
    assert.throws(() => instance.setData({ [key]: 1 }), /setData/, key);
  }
  assert.throws(() => instance.setData({ a: () => {} }), { name: 'DataCloneError' });
  assert.deepEqual(instance.data, { a: 1 });
  instance.setData({ a: undefined, b: 2 });
  assert.deepEqual(instance.data, { a: 1, b: 2 });
  assert.deepEqual(taken(app), ['pages/a/a: Setting data field "a" to undefined is invalid.']);
});

test('data are copies: of the definition for each page, and of what setData is given', async (t) => {
  const app = start(t, program(page('pages/a/a', '<navigator url="a">again</navigator><text>{{list}}</text>', `{
    data: { list: [1] },
    own: { list: [1], length() { return this.list.length; } },
  }`)));
  const first = app.page();
  const given = [2];
  first.setData({ list: given });
  given.push(3);
  first.own.list.push(2);
  assert.equal(text(app), 'again|2');
  assert.equal(first.own.length(), 2);
  await app.tap('again');
  assert.notEqual(app.page(), first);
  assert.equal(text(app), 'again|1');
  assert.equal(app.page().own.length(), 1);
});

test('the callback of setData comes later, with the page', async (t) => {
  const app = start(t, program(page('pages/a/a', '<text>{{a}}</text>', `{
    onLoad() {
      this.setData({ a: 1 }, function () { this.setData({ a: this.data.a + ' then ' + this.data.b }); });
      this.setData({ b: 2 });
    },
  }`)));
  await app.idle();
  assert.equal(text(app), '1 then 2');
});

test('onChange tells of changes made together once, and of nothing after stop', async (t) => {
  let changes = 0;
  const app = start(t, program(page('pages/a/a', '<text>{{a}}</text>', `{
    toast() { wx.showToast({ title: 'x' }); },
    title() { wx.setNavigationBarTitle({ title: 'y' }); },
  }`)), { onChange: () => { changes++; } });
  const changesBy = async (act) => {
    changes = 0;
    act();
    await turn();
    return changes;
  };
  assert.equal(await changesBy(() => {}), 1, 'the first page');
  const before = app.tree();
  assert.equal(app.tree(), before);
  assert.equal(await changesBy(() => { app.page().setData({ a: 1 }); app.page().setData({ a: 2 }); }), 1);
  assert.notEqual(app.tree(), before);
  assert.equal(await changesBy(() => app.page().toast()), 1);
  assert.equal(await changesBy(() => app.page().title()), 1);
  assert.equal(await changesBy(() => { app.page().setData({ a: 3 }); app.stop(); }), 0);
  assert.equal(await changesBy(() => app.page().setData({ a: 4 })), 0);
});

test('title, toast and modal dialogs are the page\'s to set', async (t) => {
  const device = {};
  const app = start(t, program(page('pages/a/a', '<button bind:tap="ask">ask</button><text>{{answer}}</text>', `{
    onLoad() {
      wx.setNavigationBarTitle({ title: 'Mine' });
      wx.showToast({ title: 'Saved', icon: 'none', duration: 60000 });
    },
    async ask() {
      const { confirm, cancel } = await wx.showModal({ title: 'Sure?' });
      this.setData({ answer: confirm + ' ' + cancel });
    },
    hide() { wx.hideToast(); },
  }`, { navigationBarTitleText: 'Page' })), { device });
  assert.equal(app.title(), 'Mine');
  assert.deepEqual(app.toast(), { title: 'Saved', icon: 'none' });
  app.page().hide();
  assert.equal(app.toast(), null);
  await app.tap('ask');
  assert.equal(text(app), 'ask|true false');
  device.confirm = async ({ title }) => title !== 'Sure?';
  await app.tap('ask');
  assert.equal(text(app), 'ask|false true');
});

test('a toast goes by itself', async (t) => {
  let gone;
  const app = start(t, program(page('pages/a/a', '<view />', "{ onLoad() { wx.showToast({ title: 'x', duration: 1 }); } }")), {
    onChange: () => { if (!app.toast()) gone(); },
  });
  assert.ok(app.toast());
  await new Promise((resolve) => { gone = resolve; });
  assert.equal(app.toast(), null);
});

test('a page is pulled down where its JSON or app.json allows it', async (t) => {
  const files = (settings) => program(page('pages/a/a', '<text>{{n}}</text>', `{
    data: { n: 0 },
    onPullDownRefresh() { this.setData({ n: this.data.n + 1 }); wx.stopPullDownRefresh(); },
  }`, settings));
  const app = start(t, files({ enablePullDownRefresh: true }));
  await app.pullDown();
  assert.equal(text(app), '1');
  await assert.rejects(start(t, files({})).pullDown(), /enablePullDownRefresh/);
});

const CHAIN = `{
  data: { n: 0 },
  first() {
    wx.login({ success: () => wx.request({ success: () => this.later(), fail: () => this.setData({ n: 'failed' }) }) });
  },
  later() { Promise.resolve().then(() => null).then(() => wx.login({ complete: () => this.setData({ n: 1 }) })); },
}`;

test('idle waits for a whole chain of calls, even if nobody awaits it', async (t) => {
  const { calls, call } = byHand();
  const app = start(t, program(page('pages/a/a', '<text>{{n}}</text><button bind:tap="first">go</button>', CHAIN)), {
    wx: { login: call, request: call },
  });
  await app.idle();
  await app.tap('go');
  let idle = false;
  const over = app.idle().then(() => { idle = true; });
  for (const answer of ['success', 'success', 'complete']) {
    await turn();
    await turn();
    assert.ok(!idle && calls.length === 1, `a call is under way before the ${answer}`);
    calls.shift()[answer]({});
  }
  await over;
  assert.equal(text(app), '1|go');
});

test('idle counts a call once, however it is answered', async (t) => {
  const app = start(t, program(page('pages/a/a', '<view />', `{
    onLoad() {
      const none = () => {};
      for (const name of ['ok', 'bad', 'done', 'all']) wx[name]({ success: none, fail: none, complete: none });
      wx.request({});
      wx.promise().catch(none);
      wx.nothing();
      wx.onSomething(none);
    },
  }`)), {
    wx: {
      ok: ({ success }) => success({}),
      bad: ({ fail }) => { setTimeout(() => fail({})); },
      done: ({ complete }) => complete({}),
      all: ({ success, complete }) => { success({}); complete({}); },
      request: ({ complete }) => { setTimeout(() => complete({})); },
      promise: () => Promise.reject(new Error('no')),
      nothing: () => {},
      onSomething: () => {},
    },
  });
  await app.idle();
});

test('a handler is under way until its promise is settled, whatever it waits for', async (t) => {
  const app = start(t, program(page('pages/a/a', '<button bind:tap="wait">wait</button>', `{
    wait() { return new Promise((resolve) => { this.goOn = resolve; }); },
  }`)));
  let idle = false;
  const tapped = app.tap('wait');
  const over = Promise.all([app.idle(), app.idle()]).then(() => { idle = true; });
  await turn();
  await turn();
  assert.ok(!idle);
  app.page().goOn();
  await tapped;
  await over;
});

test('what callbacks throw is an error of the program, and the others are still called', async (t) => {
  const app = start(t, program(page('pages/a/a', '<text>{{done}}</text>', `{
    onLoad() {
      wx.login({ success() { throw new Error('sync'); }, complete: () => this.setData({ done: 'yes' }) });
      wx.login({ async success() { throw new Error('async'); } });
    },
  }`)), { wx: { login: ({ success, complete }) => { success({}); complete({}); } } });
  await app.idle();
  assert.deepEqual(taken(app), ['sync', 'async']);
  assert.equal(text(app), 'yes');
});

test('the program sees the phone as it is at the time of the call', async (t) => {
  const wx = { login: ({ success }) => success({ code: 'a' }), getThingSync: () => 'thing', version: 3 };
  const app = start(t, program(page('pages/a/a', '<text>{{seen}}</text><button bind:tap="look">look</button>', `{
    look() {
      wx.login({ success: ({ code }) => this.setData({ seen: [code, wx.getThingSync(), wx.version, typeof wx.getUserProfile].join() }) });
    },
  }`)), { wx });
  await app.tap('look');
  assert.equal(text(app), 'a,thing,3,undefined|look');
  wx.login = ({ success }) => success({ code: 'b' });
  await app.tap('look');
  assert.equal(text(app), 'b,thing,3,undefined|look');
});

test('two running programs of one bundle have nothing in common', (t) => {
  const files = {
    ...program(page('pages/a/a', '<text>{{n}}</text>', "{ onLoad() { this.setData({ n: require('../../count.js').next() + getApp().n++ }); } }")),
    'app.js': 'App({ n: 0 });',
    'count.js': 'let n = 0; module.exports = { next: () => ++n };',
  };
  const bundle = bundleOf(files);
  const [a, b] = [startApp({ bundle, wx: {}, device: {} }), startApp({ bundle, wx: {}, device: {} })];
  t.after(() => { a.stop(); b.stop(); });
  assert.deepEqual([text(a), text(b)], ['1', '1']);
  assert.equal(a.require('count.js').next(), 2);
  assert.equal(b.require('count.js').next(), 2);
  assert.deepEqual([...a.errors, ...b.errors], []);
});
