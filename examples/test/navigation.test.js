const assert = require('node:assert/strict');
const test = require('node:test');
const { page, program, start, taken } = require('./bundle.js');

// A page that keeps account of what happens to the pages, and goes where a test tells it to.
const TRAVELLER = `{
  onLoad(query) { this.note('load ' + JSON.stringify(query)); },
  onShow() { this.note('show'); },
  onReady() { this.note('ready'); },
  onHide() { this.note('hide'); },
  onUnload() { this.note('unload'); },
  note(what) { getApp().log.push(this.route.slice(-1) + ' ' + what); },
  logged() { return getApp().log.splice(0); },
  routes() { return getCurrentPages().map(({ route }) => route.slice(-1)).join(' '); },
  go(call, options) { return wx[call](options); },
}`;

const LINKS = `
  <navigator url="/pages/b/b?x=1&y=a%20b&z">to b</navigator>
  <navigator url="../b/b" open-type="redirect">be b</navigator>
  <navigator url="{{'/pages/b/b'}}" open-type="reLaunch">only b</navigator>
  <navigator open-type="navigateBack">back</navigator>
  <navigator open-type="navigateBack" delta="2">back twice</navigator>
  <navigator url="/pages/b/b" open-type="switchTab">tab</navigator>
  <navigator url="/pages/c/c">nowhere</navigator>`;

// travel starts a program with the pages a and b, of which a is shown.
function travel(t) {
  const files = program(page('pages/a/a', LINKS, TRAVELLER), page('pages/b/b', LINKS, TRAVELLER, { navigationBarTitleText: 'B' }));
  const app = start(t, { ...files, 'app.js': 'App({ log: [] });' });
  app.page().logged();
  return app;
}

test('navigateTo puts a page on top, back takes it off', async (t) => {
  const app = travel(t);
  await app.tap('to b');
  assert.equal(app.page().routes(), 'a b');
  assert.equal(app.title(), 'B');
  assert.deepEqual(app.page().logged(), ['a hide', 'b load {"x":"1","y":"a%20b","z":""}', 'b show', 'b ready']);
  assert.deepEqual(app.page().options, { x: '1', y: 'a%20b', z: '' });

  await app.back();
  assert.equal(app.page().routes(), 'a');
  assert.equal(app.title(), 'Demo');
  assert.deepEqual(app.page().logged(), ['b unload', 'a show']);
  await app.back();
  assert.equal(app.page().routes(), 'a');
  assert.deepEqual(app.page().logged(), []);
});

test('redirect takes the place of a page, reLaunch that of all', async (t) => {
  const app = travel(t);
  await app.tap('to b');
  app.page().logged();
  await app.tap('be b');
  assert.equal(app.page().routes(), 'a b');
  assert.deepEqual(app.page().logged(), ['b unload', 'b load {}', 'b show', 'b ready']);
  await app.tap('only b');
  assert.equal(app.page().routes(), 'b');
  assert.deepEqual(app.page().logged(), ['b unload', 'a unload', 'b load {}', 'b show', 'b ready']);
});

test('navigateBack goes back as far as it is told, and never beyond the first page', async (t) => {
  const app = travel(t);
  for (let i = 0; i < 3; i++) await app.tap('to b');
  await app.tap('back');
  assert.equal(app.page().routes(), 'a b b');
  await app.tap('back twice');
  assert.equal(app.page().routes(), 'a');
  await app.tap('to b');
  await app.page().go('navigateBack', { delta: 100 });
  assert.equal(app.page().routes(), 'a');
  await assert.rejects(app.page().go('navigateBack'), { errMsg: 'navigateBack:fail cannot navigate back at first page.' });
});

test('ten pages may lie upon each other', async (t) => {
  const app = travel(t);
  for (let i = 1; i < 10; i++) await app.page().go('navigateTo', { url: 'b' === app.page().route.slice(-1) ? 'b' : '../b/b' });
  assert.equal(app.page().routes(), 'a b b b b b b b b b');
  await assert.rejects(app.page().go('navigateTo', { url: '/pages/b/b' }), {
    errMsg: 'navigateTo:fail webview count limit exceed',
  });
  await app.page().go('redirectTo', { url: '/pages/a/a' });
  assert.equal(app.page().routes(), 'a b b b b b b b b a');
});

test('a page that is not there is told to the caller, and nothing changes', async (t) => {
  const app = travel(t);
  for (const call of ['navigateTo', 'redirectTo', 'reLaunch']) {
    const failed = await new Promise((fail, success) => { app.page().go(call, { url: '/pages/c/c', success, fail }); });
    assert.equal(failed.errMsg, `${call}:fail page "pages/c/c" is not found`);
    await assert.rejects(app.page().go(call, {}), ({ errMsg }) => errMsg.startsWith(`${call}:fail page`));
  }
  await app.tap('nowhere');
  await app.tap('tab');
  assert.deepEqual(taken(app).map((err) => err.errMsg || err), [
    'navigateTo:fail page "pages/c/c" is not found', 'this phone knows no navigator with open-type="switchTab"',
  ]);
  assert.equal(app.page().routes(), 'a');
  assert.deepEqual(app.page().logged(), []);
});

test('a page that navigates goes on before the other one opens', async (t) => {
  const app = travel(t);
  const a = app.page();
  const opened = a.go('navigateTo', { url: '/pages/b/b' });
  a.note('goes on');
  await opened;
  assert.deepEqual(app.page().logged().slice(0, 2), ['a goes on', 'a hide']);
});

test('a page below may change without telling, and one that is closed does no harm', async (t) => {
  let changes = 0;
  const files = program(page('pages/a/a', '<navigator url="../b/b">to b</navigator>{{n}}'), page('pages/b/b', 'b {{n}}'));
  const app = start(t, files, { onChange: () => { changes++; } });
  const a = app.page();
  await app.tap('to b');
  const b = app.page();
  await app.idle();
  changes = 0;
  a.setData({ n: 'changed' });
  await app.idle();
  assert.equal(changes, 0);
  await app.back();
  assert.ok(app.shows('changed'));
  await app.idle();
  changes = 0;
  b.setData({ n: 'late' });
  await app.idle();
  assert.equal(changes, 0);
  assert.ok(!app.shows('late'));
});
