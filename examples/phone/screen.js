// The phone's screen in a browser.

const { createDialogs, make } = require('./dialogs.js');
const { createElements } = require('./elements.js');
const { toCSS } = require('./wxss.js');

const ROOT = '.phone-page';

/**
 * show puts a running mini-program into the container: its title bar, the page on top, and WeChat's dialogs. It adds a
 * style sheet to the document, for what is in the element of the class phone-page. How that and all around it looks is up
 * to the document, and so is the length --rpx.
 *
 * @param {HTMLElement} container what is in it goes
 * @param {ReturnType<typeof import('./app.js').startApp>} app
 * @param {import('./device.js').Device} device
 * @param {object} given
 * @param {Map<string, string>} given.texts of the mini-program
 * @param {string} given.face address of the picture that the user has at WeChat
 * @param {() => string} given.nickName which the user has at WeChat, '' while that is not known
 */
function show(container, app, device, { texts, face, nickName }) {
  const { bar, back, title } = createBar();
  const root = make('div', { class: 'phone-page', tabindex: '-1', role: 'region' });
  const toast = make('div', { class: 'toast', role: 'status' });
  const sheet = new CSSStyleSheet();
  const home = JSON.parse(texts.get('app.json')).pages[0];
  const dialogs = createDialogs(container);
  const pictures = createPictures(device, face);
  const { update: updatePage } = createElements({
    press: (node) => press(app, node, dialogs, face),
    dispatch: app.dispatch, addressOf: pictures.addressOf, nickName,
  });
  let page;

  function update() {
    const hadFocus = container.contains(document.activeElement);
    if (app.page() !== page) open();
    updatePage(root, app.tree());
    title.textContent = app.title();
    root.setAttribute('aria-label', app.title());
    toast.textContent = app.toast() ? app.toast().title : '';
    if (hadFocus && !hasFocus(container)) root.focus();
  }

  function open() {
    page = app.page();
    root.replaceChildren();
    root.scrollTop = 0;
    back.hidden = page.route === home;
    sheet.replaceSync(toCSS(`${texts.get('app.wxss') || ''}\n${texts.get(page.route + '.wxss') || ''}`, ROOT));
  }

  back.addEventListener('click', () => app.back());
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  container.replaceChildren(bar, root, toast);
  update();

  return {
    /** update is to be called after each change of the running app. */
    update,
    /** ask is wx.showModal's question. */
    ask: dialogs.confirm,
    /** closeDialog answers what is being asked with no. */
    closeDialog: () => dialogs.close(),
    /** close takes everything away again. */
    close() {
      dialogs.close();
      pictures.forget();
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
      container.replaceChildren();
    },
  };
}

/** hasFocus tells whether the focus is on something in the container that is seen. What was hidden loses it only later. */
function hasFocus(container) {
  const { activeElement } = document;
  return container.contains(activeElement) && activeElement.getClientRects().length > 0;
}

function createBar() {
  const bar = make('div', { class: 'bar' });
  const back = make('button', { type: 'button', class: 'back', 'aria-label': '返回' });
  const title = make('h3');
  bar.append(back, title, make('span', { class: 'capsule', 'aria-hidden': 'true' }));
  return { bar, back, title };
}

/** press asks the user first, where WeChat does. */
async function press(app, node, dialogs, face) {
  const { disabled, 'open-type': type } = node.attrs;
  if (disabled) return;
  if (type === 'chooseAvatar' && !await dialogs.chooseAvatar(face)) return;
  const deny = type === 'getPhoneNumber' && !await dialogs.phoneNumber();
  await app.press(node, { deny });
}

/**
 * createPictures finds the addresses of pictures. Temporary files get one in this document. WeChat's own pictures, which
 * the document may not load, are the user's face. What is anywhere else is not shown.
 */
function createPictures(device, face) {
  const addresses = new Map();

  function addressOfFile(path) {
    const file = device.fileOf(path);
    if (file && !addresses.has(path)) {
      addresses.set(path, URL.createObjectURL(new Blob([file.bytes], { type: file.type })));
    }
    return addresses.get(path) || '';
  }

  function addressOf(path) {
    if (/^(wxfile:|http:\/\/tmp\/)/.test(path)) return addressOfFile(path);
    if (/^https?:\/\/thirdwx\.qlogo\.cn\//.test(path)) return face;
    return path && new URL(path, location.href).origin === location.origin ? path : '';
  }

  return { addressOf, forget: () => addresses.forEach((address) => URL.revokeObjectURL(address)) };
}

module.exports = { show };
