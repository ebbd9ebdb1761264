// Looking at a tree as a person does who sees the screen.

const { keyOf } = require('./render.js');

/** @typedef {import('./render.js').TreeNode} TreeNode */

/** walk gives a node and all below it; visible leaves out what is hidden. */
function* walk(node, { visible = false } = {}) {
  if (visible && node.attrs.hidden) return;
  yield node;
  for (const child of node.children) {
    if (typeof child !== 'string') yield* walk(child, { visible });
  }
}

/** visible gives the nodes that can be seen, outer ones first. */
function visible(tree) {
  return [...walk(tree, { visible: true })];
}

/**
 * textOf gives the text that can be seen in a node. Only text elements run on in a line; white space counts as one space.
 *
 * @param {TreeNode | string} node
 */
function textOf(node) {
  return lines(node).replace(/[^\S\n]+/g, ' ').replace(/ ?\n[ \n]*/g, '\n').trim();
}

function lines(node) {
  if (typeof node === 'string') return node.replace(/\s+/g, ' ');
  if (node.attrs.hidden) return '';
  const text = node.children.map(lines).join('');
  return node.tag === 'text' ? text : `\n${text}\n`;
}

/** canBeTapped tells whether a tap on the node does something, unless it is disabled. */
function canBeTapped(node) {
  return node.tag === 'button' || node.tag === 'navigator' || 'tap' in node.on;
}

/**
 * labelOf is what a person would call a button: its text, or what a screen reader says.
 *
 * @param {TreeNode} node
 */
function labelOf(node) {
  return textOf(node) || String(node.attrs['aria-label'] || '');
}

/** closest gives the innermost node with this tag around node, which may be of an earlier tree, or undefined. */
function closest(tree, node, tag) {
  const isNode = (other) => keyOf(other) === keyOf(node);
  const around = [...walk(tree)].filter((outer) => outer.tag === tag && [...walk(outer)].some(isNode));
  return around[around.length - 1];
}

module.exports = { walk, visible, textOf, labelOf, canBeTapped, closest };
