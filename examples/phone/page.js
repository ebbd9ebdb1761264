// One open page: what Page() was told, made into an instance, and what it shows.

const { deepCopy, setPath } = require('./data.js');
const { createTyped } = require('./typed.js');
const { render } = require('./render.js');

/**
 * openPage makes an instance of a page. It runs none of the page's code.
 *
 * @param {object} given
 * @param {string} given.path
 * @param {Record<string, any>} given.definition what Page() was told; it stays as it is
 * @param {object} given.query
 * @param {import('./wxml.js').Template} given.template
 * @param {string} given.title
 * @param {boolean} given.canBePulled
 * @param {ReturnType<typeof import('./work.js').createWork>} given.work
 * @param {(page: object) => void} given.changed is told of a change of what is shown
 * @param {(err: any) => void} given.report
 */
function openPage({ path, definition, query, template, title, canBePulled, work, changed, report }) {
  const typed = createTyped();
  /** @type {import('./render.js').TreeNode | null} */
  let tree = null;

  const instance = {
    ...deepCopy(definition),
    data: structuredClone(definition.data || {}),
    route: path,
    options: query,
    setData(changes, callback) {
      for (const [key, value] of Object.entries(changes)) {
        if (value === undefined) report(new Error(`${path}: Setting data field "${key}" to undefined is invalid.`));
        else setPath(instance.data, key, structuredClone(value));
      }
      tree = null;
      changed(page);
      if (callback) work.run(async () => { await null; return callback.call(instance); });
    },
  };

  const page = {
    path,
    instance,
    title,
    canBePulled,
    typed,

    /** tree is what the page shows, the same object until that changes. */
    tree() {
      if (!tree) {
        tree = render(template, instance.data);
        typed.follow(tree);
      }
      return tree;
    },

    /** call calls the page's method of this name, if it has one. */
    call: (name, ...args) => (
      typeof instance[name] === 'function' ? work.run(() => instance[name](...args)) : Promise.resolve()),
  };
  return page;
}

module.exports = { openPage };
