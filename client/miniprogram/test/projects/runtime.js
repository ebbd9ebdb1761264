// The runtime of a mini-program as far as the built projects need it: a context that has WeChat's globals and none of Node's or a
// browser's, modules, App, and the first page, which is a Page or a Component. Nothing is drawn.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const SYSTEM = { platform: 'ios', system: 'iOS 18.0', language: 'zh_CN', windowWidth: 375, pixelRatio: 3 };

/** launch starts the mini-program of a folder on a phone, and opens its first page. */
function launch(folder, wx) {
  let app;
  let page;
  const load = createLoader(folder, {
    console, setTimeout, clearTimeout,
    wx: { ...wx, getSystemInfoSync: () => SYSTEM },
    App: (definition) => { app = definition; },
    getApp: () => app,
    Page: (definition) => { page = definition; },
    Component: ({ lifetimes, methods, ...definition }) => { page = { ...definition, ...lifetimes, ...methods, properties: {} }; },
    getCurrentPages: () => (page ? [page] : []),
  });
  load('app.js');
  app.onLaunch({});

  const [route] = JSON.parse(readFileSync(path.join(folder, 'app.json'), 'utf8')).pages;
  load(route + '.js');
  Object.assign(page, { route, triggerEvent() {}, setData(changes, done) { if (done) done(); } });
  if (page.attached) page.attached();
  page.onLoad({});
}

/** createLoader returns what loads a module of a folder, with these globals and those of the language. */
function createLoader(folder, globals) {
  const context = vm.createContext(globals);
  context.global = context;
  const modules = new Map();

  function load(file) {
    if (modules.has(file)) return modules.get(file).exports;
    const module = { exports: {} };
    modules.set(file, module);
    const filename = path.join(folder, file);
    const code = readFileSync(filename, 'utf8');
    vm.compileFunction(code, ['require', 'module', 'exports'], { filename, parsingContext: context })(
      (name) => load(resolve(name, file)), module, module.exports);
    return module.exports;
  }
  return load;
}

/** resolve is WeChat's: a path, or the name of a package in miniprogram_npm. */
function resolve(name, from) {
  if (!name.startsWith('.')) return `miniprogram_npm/${name}/index.js`;
  return path.posix.join(path.posix.dirname(from), name).replace(/(\.js)?$/, '.js');
}

module.exports = { launch };
