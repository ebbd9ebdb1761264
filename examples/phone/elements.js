// The nodes of a tree as elements of a document, kept in step with it.

const { make } = require('./dialogs.js');
const { canBeTapped } = require('./look.js');
const { keyOf } = require('./render.js');

const TAGS = {
  view: 'div', text: 'span', image: 'img', button: 'button', input: 'div', form: 'form', navigator: 'a',
};
const KEYBOARDS = { number: 'numeric', digit: 'decimal', idcard: 'text' };
const FITS = { aspectFill: 'cover', aspectFit: 'contain', heightFix: 'contain', widthFix: 'contain' };
const MOST_TYPED = 140; // characters, where an input has no maxlength

/**
 * createElements returns what shows nodes. An element stays the same as long as its node is the same one of its page, so
 * that it keeps the focus and what is typed in it.
 *
 * @param {object} given
 * @param {(node: object) => void} given.press is told of a tap
 * @param {(node: object, type: string, detail: object) => void} given.dispatch is told of other events
 * @param {(path: string) => string} given.addressOf gives the address of a picture
 * @param {() => string} given.nickName what WeChat offers for an input of the type nickname
 */
function createElements({ press, dispatch, addressOf, nickName }) {
  /** @type {WeakMap<Node, any>} the node that an element shows now */
  const shown = new WeakMap();

  function create(node) {
    const element = make(TAGS[node.tag]);
    if (node.tag === 'button') element.setAttribute('type', 'button');
    if (node.tag === 'navigator') element.setAttribute('href', '#');
    if (node.tag === 'input') element.append(...createInput(element));
    if (node.tag === 'form') element.addEventListener('submit', (event) => event.preventDefault());
    if (canBeTapped(node)) {
      element.addEventListener('click', (event) => {
        event.preventDefault();
        press(shown.get(element));
      });
    }
    if (canBeTapped(node) && TAGS[node.tag] === 'div') makeButton(element);
    return element;
  }

  /** createInput is what is typed into, and the button above the keyboard that fills in WeChat's nickname. */
  function createInput(element) {
    const control = /** @type {HTMLInputElement} */ (make('input', { autocomplete: 'off' }));
    const offer = make('button', { type: 'button', class: 'offer', hidden: '' });
    const node = () => shown.get(element);
    const tell = (type) => dispatch(node(), type, { value: control.value, cursor: control.value.length });
    control.addEventListener('input', () => tell('input'));
    element.addEventListener('focusin', () => {
      offer.hidden = node().attrs.type !== 'nickname' || !nickName() || control.value === nickName();
      offer.textContent = '用微信昵称：' + nickName();
    });
    element.addEventListener('focusout', (event) => {
      if (element.contains(/** @type {Node | null} */ (event.relatedTarget))) return;
      offer.hidden = true;
      tell('blur');
    });
    offer.addEventListener('pointerdown', (event) => event.preventDefault()); // the input keeps the focus
    offer.addEventListener('click', () => {
      control.value = nickName();
      tell('input');
      control.focus();
      offer.hidden = true;
    });
    return [control, offer];
  }

  /** update makes an element, and what is in it, show a node. */
  function update(element, node) {
    const before = shown.get(element);
    shown.set(element, node);
    const { attrs, tag } = node;
    if (tag === 'page') return updateAll(element, node.children);
    element.className = `wx-${tag} ${attrs.class || ''}`;
    element.hidden = Boolean(attrs.hidden);
    if (attrs.id !== undefined) element.id = attrs.id;
    if (attrs.style !== undefined) element.style.cssText = attrs.style;
    if (tag === 'image') return updateImage(element, attrs);
    if (tag === 'input') return updateInput(element.firstChild, attrs, before);
    if (tag === 'button') updateButton(element, attrs);
    updateAria(element, attrs);
    updateAll(element, node.children);
  }

  function updateImage(image, attrs) {
    const src = addressOf(String(attrs.src || ''));
    if (image.getAttribute('src') !== src) image.setAttribute('src', src);
    image.alt = attrs['aria-hidden'] ? '' : attrs['aria-label'] || '';
    image.style.objectFit = FITS[attrs.mode] || 'fill';
  }

  function updateInput(control, attrs, before) {
    if (!before || before.attrs.value !== attrs.value) control.value = attrs.value === undefined ? '' : attrs.value;
    control.type = attrs.password ? 'password' : 'text';
    control.inputMode = KEYBOARDS[attrs.type] || 'text';
    control.placeholder = attrs.placeholder || '';
    control.maxLength = Number(attrs.maxlength === undefined ? MOST_TYPED : attrs.maxlength);
    control.readOnly = Boolean(attrs.disabled);
    control.setAttribute('aria-label', attrs['aria-label'] || attrs.placeholder || '');
  }

  /** updateAll makes the children of an element show nodes and texts. */
  function updateAll(parent, children) {
    const wanted = new Set(children.filter((child) => typeof child !== 'string').map(keyOf));
    const known = new Map();
    for (const element of [...parent.children]) {
      const key = keyOf(shown.get(element));
      if (wanted.has(key)) known.set(key, element);
      else element.remove();
    }
    let next = parent.firstChild;
    for (const child of children) {
      const item = typeof child === 'string' ? textAt(next, child) : known.get(keyOf(child)) || create(child);
      if (typeof child !== 'string') update(item, child);
      if (item === next) next = next.nextSibling;
      else parent.insertBefore(item, next);
    }
    while (next) {
      const rest = next;
      next = next.nextSibling;
      rest.remove();
    }
  }

  return { update };
}

function textAt(place, text) {
  const item = place && place.nodeType === Node.TEXT_NODE ? place : document.createTextNode('');
  if (item.data !== text) item.data = text;
  return item;
}

/** makeButton lets a view that can be tapped be reached and pressed from a keyboard. */
function makeButton(element) {
  element.tabIndex = 0;
  element.setAttribute('role', 'button');
  element.addEventListener('keydown', (event) => {
    if (event.target === element && event.key === 'Enter') element.click();
  });
}

// A button that is disabled for a moment keeps the focus; the mini-program gets no events of it anyway.
function updateButton(button, { disabled, loading, type }) {
  button.setAttribute('aria-disabled', String(Boolean(disabled)));
  button.setAttribute('aria-busy', String(Boolean(loading)));
  button.dataset.type = type || 'default';
}

function updateAria(element, attrs) {
  for (const [name, value] of Object.entries(attrs)) {
    if (name === 'aria-role') element.setAttribute('role', value);
    else if (name.startsWith('aria-')) element.setAttribute(name, String(value));
  }
}

module.exports = { createElements };
