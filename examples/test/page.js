// A mini-program's app.js and pages without WeChat: App, Page and wx as they need them. Of the WXML only its buttons, the
// form and the handlers that they name are read; what is shown is the matter of test/compiler.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { compileFunction } = require('node:vm');

const folder = path.join(__dirname, '../miniprogram');
const PARAMETERS = ['require', 'module', 'exports', 'wx', 'App', 'Page'];

/**
 * startApp runs the example mini-program on a phone: app.js, then the first page of app.json. files replaces texts of files by
 * path. modals lists the titles of dialogs, and agrees is what the user answers. What its code throws or rejects with fails the test.
 */
function startApp(t, phone, files = {}) {
  const app = { phone, toasts: [], modals: [], agrees: true, page: undefined, allowsNickname: true, idle, press, type, call, back };
  const modules = new Map();
  const definitions = new Map();
  const stack = [];
  const errors = [];
  let underWay = 0;
  t.after(() => assert.deepEqual(errors, []));

  const textOf = (file) => files[file] ?? readFileSync(path.join(folder, file), 'utf8');

  const wx = Object.assign(Object.create(phone.wx), {
    showToast: ({ title }) => { app.toasts.push(title); },
    showModal: ({ title, confirmText, success }) => run(async () => {
      await null;
      assert.ok(confirmText.length <= 4, 'WeChat takes no more');
      app.modals.push(title);
      success({ confirm: app.agrees, cancel: !app.agrees });
    }),
    navigateTo: ({ url, complete }) => run(async () => { await null; open(url); if (complete) complete(); }),
    reLaunch: ({ url }) => run(async () => { await null; stack.length = 0; open(url); }),
  });

  function load(file, globals = {}) {
    if (modules.has(file)) return modules.get(file).exports;
    const module = { exports: {} };
    modules.set(file, module);
    const require = (name) => load(path.posix.join(path.posix.dirname(file), name));
    compileFunction(textOf(file), PARAMETERS, { filename: path.join(folder, file) })(
      require, module, module.exports, wx, globals.App, globals.Page);
    return module.exports;
  }

  async function run(work) {
    underWay++;
    try {
      return await work();
    } catch (err) {
      return errors.push(err);
    } finally {
      underWay--;
    }
  }

  function open(url) {
    const [route, query] = url.slice(1).split('?');
    load(route + '.js', { Page: (definition) => definitions.set(route, definition) });
    const definition = definitions.get(route);
    const page = { ...definition, data: structuredClone(definition.data || {}), route, input: { value: '' }, setData };
    stack.push(page);
    app.page = page;
    enter(page, 'onLoad', Object.fromEntries(new URLSearchParams(query)));
    enter(page, 'onShow');
  }

  const enter = (page, hook, ...args) => run(() => page[hook] && page[hook](...args));

  /** setData also keeps what was typed, until the form closes or its input begins with another text. */
  function setData(changes) {
    assert.ok(!Object.values(changes).includes(undefined), 'WeChat does not take undefined');
    Object.assign(this.data, structuredClone(changes));
    const { editing, nameAtFirst } = this.data;
    if (editing && nameAtFirst === this.input.first) return;
    this.input = { value: nameAtFirst, first: editing ? nameAtFirst : undefined };
  }

  /** call is an event of the page on top, for the handler that the WXML names for it, once. */
  function call(event, detail = {}) {
    const found = textOf(app.page.route + '.wxml').matchAll(`\\bbind:${event}="(\\w+)"`);
    const [handler, ...more] = new Set(Array.from(found, ([, name]) => name));
    assert.deepEqual(more, [], event);
    return run(() => app.page[handler]({ type: event, detail }));
  }

  /** press taps the button with this text; answer goes to the device. It resolves when the handler is through. */
  async function press(text, answer) {
    const all = Array.from(textOf(app.page.route + '.wxml').matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/g));
    const found = all.filter(([, , content]) => content.replace(/<[^>]*>|\s/g, '') === text);
    assert.equal(found.length, 1, `one button ${text} on ${app.page.route}`);
    const named = Object.fromEntries(Array.from(found[0][1].matchAll(/([\w:-]+)="([^"]*)"/g), ([, name, value]) => [name, value]));
    if (named['form-type'] === 'submit') return call('submit', { value: { nickName: app.page.input.value } });
    if (named['open-type'] === 'chooseAvatar') return call('chooseavatar', await phone.device.chooseAvatar());
    if (named['open-type'] === 'getPhoneNumber') return call('getphonenumber', await phone.device.getPhoneNumber(answer));
    return run(() => app.page[named['bind:tap']]({ type: 'tap', detail: {} }));
  }

  /** type fills the nickname input in and leaves it; WeChat then reviews the name, and empties the input if it is not allowed. */
  async function type(name) {
    const pass = app.allowsNickname;
    app.page.input.value = pass ? name : '';
    await call('nicknamereview', { pass, timeout: false });
  }

  function back() {
    stack.pop();
    app.page = stack[stack.length - 1];
    return enter(app.page, 'onShow');
  }

  /** idle resolves when no handler and no request is under way. */
  async function idle() {
    while (underWay > 0 || !(await phone.net.isQuiet())) await new Promise((resolve) => { setTimeout(resolve, 1); });
  }

  app.require = load;
  load('app.js', { App: (definition) => run(() => definition.onLaunch()) });
  open('/' + JSON.parse(textOf('app.json')).pages[0]);
  return app;
}

module.exports = { startApp };
