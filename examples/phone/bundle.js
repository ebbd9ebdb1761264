// A mini-program's files.

const { parse } = require('./wxml.js');

/**
 * @typedef {object} Bundle a mini-program's files, by their paths from its root
 * @property {Map<string, import('./modules.js').Factory>} factories of .js files
 * @property {Map<string, string>} texts of .json, .wxml and .wxss files
 */

/**
 * readBundle reads app.json, and the JSON and WXML of the pages that it names. Throws where one is missing or malformed.
 *
 * @param {Bundle} bundle
 */
function readBundle({ factories, texts }) {
  const textOf = (path) => {
    const text = texts.get(path);
    if (text === undefined) throw new Error(`there is no file ${path}`);
    return text;
  };
  const jsonOf = (path) => {
    try {
      return JSON.parse(textOf(path));
    } catch (err) {
      throw err instanceof SyntaxError ? new Error(`${path}: ${err.message}`) : err;
    }
  };
  const { pages: paths = [], window = {} } = jsonOf('app.json');
  if (paths.length === 0) throw new Error('app.json names no page');
  const pages = new Map();
  for (const path of paths) {
    if (!factories.has(path + '.js')) throw new Error(`there is no file ${path}.js`);
    const settings = { ...window, ...jsonOf(path + '.json') };
    pages.set(path, {
      template: parse(textOf(path + '.wxml'), path + '.wxml'),
      title: settings.navigationBarTitleText || '',
      canBePulled: settings.enablePullDownRefresh === true,
    });
  }
  return { first: paths[0], pages };
}

module.exports = { readBundle };
