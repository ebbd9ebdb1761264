// The person who holds the phone: tapping, typing and reading, as tests do it.

const { canBeTapped, closest, labelOf, textOf, visible, walk } = require('./look.js');

const MOST_TYPED = 140; // characters, where an input has no maxlength

const OPENING = { navigate: 'navigateTo', redirect: 'redirectTo', reLaunch: 'reLaunch', navigateBack: 'navigateBack' };

/**
 * createPerson returns what a person can do with the page on top.
 *
 * @param {object} given
 * @param {() => ReturnType<typeof import('./page.js').openPage>} given.top
 * @param {(node: object, type: string, detail?: object) => Promise<void>} given.dispatch
 * @param {Record<string, any>} given.wx for navigators
 * @param {import('./device.js').Device} given.device
 * @param {ReturnType<typeof import('./work.js').createWork>} given.work
 */
function createPerson({ top, dispatch, wx, device, work }) {
  const tree = () => top().tree();

  /**
   * press does what WeChat does when a node is tapped: the tap event, and what a button of form-type or open-type, or a
   * navigator, does beside it. answer goes to the device: press(node, { deny: true }) refuses to give the phone number.
   * Resolves when the handlers are through. A disabled node does nothing.
   */
  async function press(node, answer) {
    if (node.attrs.disabled) return;
    const page = top();
    const form = closest(page.tree(), node, 'form');
    await Promise.all([
      dispatch(node, 'tap', { x: 0, y: 0 }),
      node.tag === 'navigator' && work.run(() => open(node.attrs)),
      node.attrs['form-type'] && work.run(() => submit(node, form, page)),
      node.attrs['open-type'] && node.tag === 'button' && work.run(() => ask(node, answer)),
    ]);
  }

  function open({ url, delta, 'open-type': type = 'navigate' }) {
    if (!Object.hasOwn(OPENING, type)) throw new Error(`this phone knows no navigator with open-type="${type}"`);
    return wx[OPENING[type]]({ url, ...(delta !== undefined && { delta: Number(delta) }) });
  }

  function submit(button, form, page) {
    const type = button.attrs['form-type'];
    if (type !== 'submit') throw new Error(`this phone knows no button with form-type="${type}"`);
    if (!form) throw new Error(`the button "${labelOf(button)}" is in no form`);
    const inputs = [...walk(form)].filter((node) => node.tag === 'input' && node.attrs.name);
    const value = Object.fromEntries(inputs.map((input) => [input.attrs.name, page.typed.valueOf(input)]));
    return dispatch(form, 'submit', { value });
  }

  async function ask(button, answer) {
    const type = button.attrs['open-type'];
    if (type === 'chooseAvatar') await dispatch(button, 'chooseavatar', await device.chooseAvatar());
    else if (type === 'getPhoneNumber') await dispatch(button, 'getphonenumber', await device.getPhoneNumber(answer));
    else throw new Error(`this phone knows no button with open-type="${type}"`);
  }

  /** tap presses the one that is called so; it is an error of the test where there is none, or it is disabled. */
  async function tap(text, answer) {
    const called = visible(tree()).filter((node) => canBeTapped(node) && labelOf(node) === text);
    const innermost = called.filter((node) => !called.some((other) => other !== node && [...walk(node)].includes(other)));
    const button = only(innermost, `to tap with the text "${text}"`);
    if (button.attrs.disabled) throw new Error(`"${text}" is disabled`);
    await press(button, answer);
  }

  /** type puts text into the input with this placeholder or name, and leaves the input again. */
  async function type(placeholderOrName, text) {
    const input = only(visible(tree()).filter(({ tag, attrs }) => (
      tag === 'input' && [attrs.placeholder, attrs.name].includes(placeholderOrName)
    )), `to type into that is called "${placeholderOrName}"`);
    if (input.attrs.disabled) throw new Error(`"${placeholderOrName}" is disabled`);
    const most = Number(input.attrs.maxlength === undefined ? MOST_TYPED : input.attrs.maxlength);
    const value = most < 0 ? text : text.slice(0, most);
    for (const event of ['focus', 'input', 'change', 'blur']) {
      await dispatch(input, event, { value, cursor: value.length });
    }
    if (input.attrs.type === 'nickname') await review(input, value);
  }

  // WeChat looks at a nickname after the input was left, and empties the input where the name is not allowed.
  async function review(input, name) {
    const pass = device.reviewNickname ? Boolean(await device.reviewNickname(name)) : true;
    if (!pass) top().typed.set(input, '');
    await dispatch(input, 'nicknamereview', { pass, timeout: false });
  }

  // An input shows its placeholder while it is empty.
  const shown = (input) => (input.attrs.password ? '' : top().typed.valueOf(input)) || String(input.attrs.placeholder || '');

  /** shows tells whether text can be read on the page: between tags or in an input. */
  function shows(text) {
    const inputs = visible(tree()).filter((node) => node.tag === 'input');
    return [textOf(tree()), ...inputs.map(shown)].some((seen) => seen.includes(text));
  }

  /** buttons gives the texts of what could be tapped now. */
  function buttons() {
    return visible(tree()).filter((node) => canBeTapped(node) && !node.attrs.disabled).map(labelOf);
  }

  /** back is the phone's back button. On the first page it does nothing. */
  function back() {
    return work.run(() => wx.navigateBack().catch(() => {}));
  }

  /** pullDown pulls the page down, which must be allowed by enablePullDownRefresh in its JSON or in app.json. */
  async function pullDown() {
    const { path, canBePulled, call } = top();
    if (!canBePulled) throw new Error(`${path} has no enablePullDownRefresh`);
    await call('onPullDownRefresh');
  }

  return { press, tap, type, shows, buttons, back, pullDown };
}

/** @returns {any} */
function only(nodes, wanted) {
  if (nodes.length !== 1) throw new Error(`${nodes.length || 'no'} things ${wanted}`);
  return nodes[0];
}

module.exports = { createPerson };
