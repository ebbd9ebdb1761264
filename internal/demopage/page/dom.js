// Elements, made without ever reading HTML from a text.

// el makes an element. Attributes that are false or undefined are left out, and so are children that are falsy.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

export const byId = (id) => document.getElementById(id);

// bar stands in the place of a secret. explained says more to those who point at it, or do not see it.
export function bar(name, explained) {
  const hidden = explained && el('span', { class: 'unseen' }, ` (${explained})`);
  return el('span', { class: 'secret', title: explained }, name, hidden);
}
