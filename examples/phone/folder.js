// A mini-program's folder as a bundle, for Node: the demo's page gets its bundle from the server.

const { readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { compileFunction } = require('node:vm');

const TEXTS = ['.json', '.wxml', '.wxss'];

// What WeChat gives every file of a mini-program, in the order of a Factory's parameters.
const PARAMETERS = ['require', 'module', 'exports', 'wx', 'App', 'Page', 'getApp', 'getCurrentPages'];

/**
 * readFolder reads the mini-program in the folder dir. A stack trace names the files with their own line numbers.
 *
 * @param {string} dir
 * @param {Object<string, any>} [replaced] what some .js files export in place of what they say, by path:
 *   { 'config.js': { server } }
 * @returns {import('./bundle.js').Bundle}
 */
function readFolder(dir, replaced = {}) {
  /** @type {import('./bundle.js').Bundle} */
  const bundle = { factories: new Map(), texts: new Map() };
  for (const file of filesBelow(dir)) {
    const text = readFileSync(path.join(dir, file), 'utf8');
    if (TEXTS.includes(path.extname(file))) bundle.texts.set(file, text);
    if (path.extname(file) === '.js') bundle.factories.set(file, factoryOf(text, path.resolve(dir, file)));
  }
  for (const [file, exports] of Object.entries(replaced)) {
    bundle.factories.set(file, (require, module) => { module.exports = exports; });
  }
  return bundle;
}

/** factoryOf makes a factory of a file's text; filename is for stack traces. */
function factoryOf(text, filename) {
  return /** @type {any} */ (compileFunction(text, PARAMETERS, { filename }));
}

function filesBelow(dir, prefix = '') {
  return readdirSync(path.join(dir, prefix), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return [];
    const file = prefix + entry.name;
    return entry.isDirectory() ? filesBelow(dir, file + '/') : [file];
  });
}

module.exports = { readFolder, factoryOf };
