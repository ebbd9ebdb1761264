// The modules of one running mini-program.

const { resolve } = require('./paths.js');

/**
 * @typedef {object} Globals what WeChat gives every file of a mini-program
 * @property {object} wx
 * @property {Function} App
 * @property {Function} Page
 * @property {Function} getApp
 * @property {Function} getCurrentPages
 *
 * @typedef {(require: Function, module: {exports: any}, exports: any, wx: object, App: Function, Page: Function,
 *   getApp: Function, getCurrentPages: Function) => void} Factory what runs a file
 */

/**
 * createModules returns the require of one running mini-program, for paths from its root. Every call makes instances of
 * its own: what a module of one mini-program remembers, the same module of another does not know.
 *
 * require throws where there is no such file; what the file itself throws, it throws each time it is asked for.
 *
 * @param {Map<string, Factory>} factories by path, as utils/wxlogin.js
 * @param {Globals} globals
 * @returns {(path: string) => any}
 */
function createModules(factories, { wx, App, Page, getApp, getCurrentPages }) {
  /** @type {Map<string, {exports: any}>} */
  const modules = new Map();

  function load(path, asked) {
    const known = modules.get(path);
    if (known) return known.exports; // of a module that is still being loaded: what it has exported so far
    const factory = factories.get(path);
    if (!factory) throw new Error(`module '${path}' is not defined, require args is '${asked}'`);
    const module = { exports: {} };
    modules.set(path, module);
    try {
      factory(requireFrom(path), module, module.exports, wx, App, Page, getApp, getCurrentPages);
    } catch (err) {
      modules.delete(path);
      throw err;
    }
    return module.exports;
  }

  const requireFrom = (importer) => (asked) => load(resolve(importer, asked), asked);
  return requireFrom('');
}

module.exports = { createModules };
