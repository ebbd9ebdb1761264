// A running mini-program.

const { readBundle } = require('./bundle.js');
const { watchCalls } = require('./calls.js');
const { createDispatch } = require('./events.js');
const { createModules } = require('./modules.js');
const { createNavigation } = require('./navigation.js');
const { createNotice } = require('./notice.js');
const { openPage } = require('./page.js');
const { createPerson } = require('./person.js');
const { createRegistry } = require('./registry.js');
const { createSurface } = require('./surface.js');
const { createWork } = require('./work.js');

/**
 * startApp runs a mini-program on a phone: app.js, and then the first page of app.json. It throws where that cannot be
 * started at all: a file is missing or malformed, app.js throws or does not call App(). Whatever the mini-program's code
 * throws from then on is collected in errors.
 *
 * @param {object} given
 * @param {import('./bundle.js').Bundle} given.bundle
 * @param {object} given.wx the phone's, of createWx
 * @param {import('./device.js').Device} given.device
 * @param {() => void} [given.onChange] is called after each change of the tree, the title or the toast; changes that
 *   are made together are told together
 * @param {(err: any) => void} [given.onError] is told what errors collects
 */
function startApp({ bundle, wx: phone, device, onChange = () => {}, onError = () => {} }) {
  const errors = [];
  const report = (err) => { errors.push(err); onError(err); };
  const work = createWork(report);
  const files = readBundle(bundle);
  const notice = createNotice(() => { top().tree(); onChange(); });
  const { top, pages, launch, ...navigation } = createNavigation(open, notice.changed);
  const surface = createSurface(device, top, notice.changed);
  const wx = watchCalls(phone, { ...navigation.wx, ...surface.wx }, work);
  const registry = createRegistry();
  const require = createModules(bundle.factories, {
    wx, ...registry.globals, getCurrentPages: () => pages().map((page) => page.instance),
  });
  const dispatch = createDispatch(top, work);

  function open(path, query) {
    const file = files.pages.get(path);
    if (!file) return undefined;
    const definition = registry.pageOf(path, () => require(path + '.js'), report);
    const changed = (page) => { if (page === top()) notice.changed(); };
    return openPage({ path, definition, query, ...file, work, changed, report });
  }

  launchApp(registry.appOf(() => require('app.js')), files.first, work);
  launch(files.first);

  return {
    errors,
    /** require gives a module of this mini-program: require('utils/wxlogin.js'). */
    require,
    /** tree gives what the page on top shows: its root node, with the tag page. */
    tree: () => top().tree(),
    /** page gives the page on top, as getCurrentPages does: page().data, page().route. */
    page: () => top().instance,
    title: () => top().title,
    /** toast gives {title, icon}, or null where there is none. */
    toast: surface.toast,
    dispatch,
    ...createPerson({ top, dispatch, wx, device, work }),
    /** idle resolves when no call of wx and no handler of the mini-program is under way. */
    idle: work.idle,
    /** stop ends the telling of changes. */
    stop() {
      surface.stop();
      notice.stop();
    },
  };
}

/** launchApp calls what App() was told to call at a launch. */
function launchApp(app, path, work) {
  const options = { path, query: {}, scene: 1001 };
  for (const hook of ['onLaunch', 'onShow']) {
    if (typeof app[hook] === 'function') work.run(() => app[hook](options));
  }
}

module.exports = { startApp };
