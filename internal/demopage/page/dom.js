// Elements, made without ever reading HTML from a text.

export const byId = (id) => document.getElementById(id);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// onClick calls back with the clicked one of these elements.
export function onClick(selector, listener) {
  for (const element of all(selector)) element.addEventListener('click', (event) => listener(element, event));
}

// el makes an element. Attributes and children that are false, null or undefined are left out.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

// withBars returns a text in which names of secrets, such as <token 2>, are bars.
export function withBars(text) {
  return String(text).split(/(<[a-zA-Z][^<>]* (?:\d+|token)>)/).map((part, i) => (
    i % 2 ? el('span', { class: 'secret' }, part.slice(1, -1)) : part));
}
