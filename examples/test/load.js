// Loads the client under test, once for each phone: like a mini-program's tools, it makes a function of each module.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { compileFunction } = require('node:vm');

const SOURCE = path.join(__dirname, '../../client/miniprogram/src/index.js');

/** WXLOGIN_CLIENT names a build, or what else is to be tested instead of the source: an ES module or a CommonJS one. */
const entry = path.resolve(process.env.WXLOGIN_CLIENT || SOURCE);

const IMPORT = /^import \{([^}]*)\} from '(\.[^']*)';$/gm;
const REEXPORT = /^export \{([^}]*)\} from '(\.[^']*)';$/gm;
const EXPORT = /^export ((?:async )?(?:function|const|class)) (\w+)/gm;
const EXPORTS = /^export \{([^}]*)\};$/gm;

const GLOBALS = ['wx', 'setTimeout', 'clearTimeout'];
const compiled = new Map();

/** compile returns a module as a function of require, module, exports and the globals. */
function compile(file) {
  if (!compiled.has(file)) {
    const code = asCommonJS(readFileSync(file, 'utf8'));
    assert.doesNotMatch(code, /^(import|export)\b/m, `${file} has an import or export that the tests cannot read`);
    compiled.set(file, compileFunction(code, ['require', 'module', 'exports', ...GLOBALS], { filename: file }));
  }
  return compiled.get(file);
}

/** asCommonJS keeps the lines where they are. Modules do not import each other in circles, so a value is there when it is read. */
function asCommonJS(code) {
  const names = [];
  const body = code
    .replace(IMPORT, (_, list, file) => `const {${list.replace(/ as /g, ': ')}} = require('${file}');`)
    .replace(REEXPORT, (_, list, file) => list.split(',').map((name) => `exports.${name.trim()} = require('${file}').${name.trim()};`).join(' '))
    .replace(EXPORT, (_, kind, name) => { names.push([name]); return `${kind} ${name}`; })
    .replace(EXPORTS, (_, list) => {
      for (const each of list.split(',')) names.push(each.trim().split(' as '));
      return '';
    });
  return body + names.map(([name, exported = name]) => `\nexports.${exported} = ${name};`).join('');
}

/** load returns the client as a phone's first require does, before setup. timers: those of createTimers instead of Node's. */
function load({ wx, timers = globalThis }) {
  const modules = new Map();
  const run = (file) => {
    if (!modules.has(file)) {
      const module = { exports: {} };
      modules.set(file, module);
      const require = (name) => run(path.resolve(path.dirname(file), name));
      compile(file)(require, module, module.exports, wx, timers.setTimeout, timers.clearTimeout);
    }
    return modules.get(file).exports;
  };
  return run(entry);
}

module.exports = { load };
