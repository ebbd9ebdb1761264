// Mini-programs made up by a test, running on a phone that does nothing by itself.

const assert = require('node:assert/strict');
const { startApp } = require('../phone/app.js');
const { factoryOf } = require('../phone/folder.js');

/** bundleOf makes a bundle of files given as texts by path. */
function bundleOf(files) {
  const bundle = { factories: new Map(), texts: new Map() };
  for (const [path, text] of Object.entries(files)) {
    if (path.endsWith('.js')) bundle.factories.set(path, factoryOf(text, path));
    else bundle.texts.set(path, typeof text === 'string' ? text : JSON.stringify(text));
  }
  return bundle;
}

/** page gives the files of a page; definition is what its Page() is told, as text. */
function page(path, wxml, definition = '{}', settings = {}) {
  return { [`${path}.wxml`]: wxml, [`${path}.js`]: `Page(${definition});`, [`${path}.json`]: settings };
}

/** program gives the files of a mini-program with these pages, each the files of page(). */
function program(...pages) {
  const files = Object.assign({}, ...pages);
  const paths = Object.keys(files).filter((path) => path.endsWith('.wxml')).map((path) => path.replace('.wxml', ''));
  return { 'app.json': { pages: paths, window: { navigationBarTitleText: 'Demo' } }, 'app.js': 'App({});', ...files };
}

/**
 * start runs a mini-program given as texts, and stops it at the end of the test. It must have made no errors then, but
 * for those that the test has taken out of app.errors.
 */
function start(t, files, { wx = {}, device = {}, ...more } = {}) {
  const app = startApp({ bundle: bundleOf(files), wx, device, ...more });
  t.after(() => {
    app.stop();
    assert.deepEqual(app.errors, []);
  });
  return app;
}

/** taken takes the messages of the errors that a running mini-program has made so far. */
function taken(app) {
  return app.errors.splice(0).map((err) => (err instanceof Error ? err.message : err));
}

/** byHand makes a call of wx that a test answers itself, by calls.shift().success(res) or .fail(res). */
function byHand() {
  const calls = [];
  return { calls, call: (options) => { calls.push(options); } };
}

module.exports = { bundleOf, page, program, start, taken, byHand };
