// The wx: attributes: which elements there are, and how often.

const { evaluator, fail } = require('./attribute.js');

/**
 * @typedef {import('./wxml.js').Part} Part
 * @typedef {import('./wxml.js').Loop} Loop
 */

/** @type {Record<string, Part['branch']>} */
const BRANCHES = { 'wx:if': 'if', 'wx:elif': 'elif', 'wx:else': 'else' };

const DIRECTIVES = [...Object.keys(BRANCHES), 'wx:for', 'wx:for-item', 'wx:for-index', 'wx:key'];

/**
 * directed reads the wx: attributes of an element.
 *
 * @returns {Pick<Part, 'branch' | 'condition' | 'loop'>}
 */
function directed(attributes) {
  const given = new Map(attributes.map((attribute) => [attribute.name, attribute]));
  for (const attribute of attributes) checkDirective(attribute, given);
  const branches = Object.keys(BRANCHES).filter((name) => given.has(name));
  if (branches.length > 1) fail(`${branches.join(' and ')} on one element`, given.get(branches[1]));
  const [branch] = branches;
  const condition = branch && branch !== 'wx:else' ? evaluator(given.get(branch)) : null;
  return { branch: BRANCHES[branch] || null, condition, loop: loopOf(given) };
}

function checkDirective(attribute, given) {
  const { name, value } = attribute;
  if (!DIRECTIVES.includes(name)) fail(`this phone knows no ${name}`, attribute);
  const empty = value === true || value.trim() === '';
  if (name === 'wx:else' ? !empty : empty) fail(`${name} ${empty ? 'needs a' : 'has no'} value`, attribute);
  if (given.has('wx:for')) {
    if (name === 'wx:elif' || name === 'wx:else') fail(`${name} on an element with wx:for`, attribute);
  } else if (name.startsWith('wx:for-') || name === 'wx:key') {
    fail(`${name} without wx:for`, attribute);
  }
  if (name.startsWith('wx:for-') && !/^[A-Za-z_$][\w$]*$/.test(value)) fail(`${name}: ${value} is no name`, attribute);
  if (name === 'wx:key' && value.includes('{{')) fail('wx:key is a name, not an expression', attribute);
}

/** @returns {Loop | null} */
function loopOf(given) {
  if (!given.has('wx:for')) return null;
  const nameIn = (name, or) => (given.has(name) ? given.get(name).value : or);
  return {
    over: evaluator(given.get('wx:for')),
    item: nameIn('wx:for-item', 'item'),
    index: nameIn('wx:for-index', 'index'),
    key: nameIn('wx:key', ''),
  };
}

/** checkBranch refuses a wx:elif or wx:else that does not follow its wx:if at once. */
function checkBranch({ branch }, before, line) {
  if (branch !== 'elif' && branch !== 'else') return;
  const follows = before && !('text' in before) && !before.loop && (before.branch === 'if' || before.branch === 'elif');
  if (!follows) fail(`wx:${branch} does not follow an element with wx:if or wx:elif`, { line });
}

module.exports = { directed, checkBranch };
