// The pages of a running mini-program, one upon the other, and the calls of wx that change them.

const { answer } = require('./answer.js');
const { parseQuery, resolve } = require('./paths.js');

const MOST_PAGES = 10;

/**
 * createNavigation returns the stack of open pages. open makes a page of a path and a query; it gives undefined where
 * there is no such page. changed is told when another page is on top.
 *
 * @param {(path: string, query: object) => ReturnType<typeof import('./page.js').openPage> | undefined} open
 * @param {() => void} changed
 */
function createNavigation(open, changed) {
  /** @type {ReturnType<typeof import('./page.js').openPage>[]} the top page comes last */
  let stack = [];

  const top = () => stack[stack.length - 1];

  function pageFor(url = '') {
    const [asked, query = ''] = url.split('?');
    const path = resolve(top() ? top().path : '', asked);
    const page = open(path, parseQuery(query));
    if (!page) throw new Error(`page "${path}" is not found`);
    return page;
  }

  /** show puts a new page on the stack. */
  function show(page) {
    stack.push(page);
    page.call('onLoad', page.instance.options);
    page.call('onShow');
    page.call('onReady');
    changed();
  }

  /** close takes this many pages off the stack, the top one first. */
  function close(number) {
    for (const page of stack.splice(stack.length - number).reverse()) page.call('onUnload');
  }

  function navigateTo({ url }) {
    if (stack.length >= MOST_PAGES) throw new Error('webview count limit exceed');
    const page = pageFor(url);
    if (top()) top().call('onHide');
    show(page);
  }

  function redirectTo({ url }) {
    const page = pageFor(url);
    close(1);
    show(page);
  }

  function reLaunch({ url }) {
    const page = pageFor(url);
    close(stack.length);
    show(page);
  }

  function navigateBack({ delta = 1 } = {}) {
    if (stack.length === 1) throw new Error('cannot navigate back at first page.');
    close(Math.min(delta, stack.length - 1));
    top().call('onShow');
    changed();
  }

  // In WeChat, the page that calls goes on before another one opens.
  const call = (name, work) => (options) => answer(name, options, async () => {
    await null;
    work(options);
  });

  const wx = {
    navigateTo: call('navigateTo', navigateTo),
    redirectTo: call('redirectTo', redirectTo),
    reLaunch: call('reLaunch', reLaunch),
    navigateBack: call('navigateBack', navigateBack),
  };
  return { wx, top, pages: () => [...stack], launch: (path) => navigateTo({ url: '/' + path }) };
}

module.exports = { createNavigation };
