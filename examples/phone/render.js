// A template and data -> a tree.

const { toText } = require('./interpolation.js');

/**
 * @typedef {object} TreeNode
 * @property {string} tag page (the root), view, text, image, button, input, form or navigator
 * @property {Object<string, any>} attrs without those whose value is undefined
 * @property {Object<string, string>} on the names of handlers by event: {tap: 'onSave'}
 * @property {Object<string, any>} data the dataset
 * @property {(TreeNode | string)[]} children
 */

/** @type {WeakMap<TreeNode, string>} */
const keys = new WeakMap();

/**
 * keyOf tells which element a node is: the same text for the nodes of one element in the trees of one page before and
 * after a change of its data. Within a wx:for, wx:key tells the items apart, or else their indices.
 *
 * @param {TreeNode} node
 * @returns {string}
 */
function keyOf(node) {
  return keys.get(node) || '';
}

/**
 * render makes the tree of a page with this data. The root is a node with the tag page.
 *
 * @param {import('./wxml.js').Template} template
 * @param {object} data
 * @returns {TreeNode}
 */
function render(template, data) {
  const root = { tag: 'page', attrs: {}, on: {}, data: {}, children: renderAll(template, data, '') };
  keys.set(root, '');
  return root;
}

/** renderAll makes the nodes of siblings; within is the key of the items of wx:for around them. */
function renderAll(template, scope, within) {
  const nodes = [];
  let chosen = false; // of the present wx:if and those that belong to it
  for (const part of template) {
    if ('text' in part) {
      const text = toText(part.text(scope));
      if (text !== '') nodes.push(text);
    } else if (part.loop) {
      nodes.push(...renderLoop(part, scope, within));
    } else {
      if (part.branch === 'if') chosen = false;
      const wanted = !part.branch || (!chosen && (!part.condition || part.condition(scope)));
      if (part.branch && wanted) chosen = true;
      if (wanted) nodes.push(...renderPart(part, scope, within));
    }
  }
  return nodes;
}

function renderLoop(part, scope, within) {
  const { over, item, index, key } = part.loop;
  return entriesOf(over(scope)).flatMap(([i, value]) => {
    const inner = { ...scope, [item]: value, [index]: i };
    if (part.condition && !part.condition(inner)) return [];
    return renderPart(part, inner, `${within}/${part.id}=${keyOfItem(key, value, i)}`);
  });
}

/** entriesOf gives what wx:for goes through: arrays, objects by name, numbers from 0, the characters of a string. */
function entriesOf(list) {
  if (typeof list === 'number') return Array.from({ length: Math.max(0, Math.trunc(list)) || 0 }, (_, i) => [i, i]);
  if (typeof list === 'string') return Array.from(list, (char, i) => [i, char]);
  if (Array.isArray(list)) return list.map((value, i) => [i, value]);
  return list && typeof list === 'object' ? Object.entries(list) : [];
}

/** keyOfItem is what wx:key says: the item itself, one of its properties, or nothing. */
function keyOfItem(key, value, index) {
  if (key === '*this') return String(value);
  const known = key && value && Object.hasOwn(Object(value), key);
  return known ? String(value[key]) : String(index);
}

function renderPart(part, scope, within) {
  const children = renderAll(part.children, scope, within);
  if (part.tag === 'block') return children;
  const node = {
    tag: part.tag,
    attrs: valuesOf(part.attrs, scope),
    on: handlersOf(part.on, scope),
    data: valuesOf(part.data, scope),
    children,
  };
  keys.set(node, `${within}/${part.id}`);
  return [node];
}

function valuesOf(pairs, scope) {
  const values = pairs.map(([name, value]) => [name, value(scope)]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

function handlersOf(pairs, scope) {
  const names = pairs.map(([event, name]) => [event, name(scope)]);
  return Object.fromEntries(names.filter(([, name]) => name));
}

module.exports = { render, keyOf };
