// WXML: a page's text -> template, and template + data -> tree.

const { checkBranch, directed } = require('./directives.js');
const { evaluator, fail } = require('./attribute.js');
const { interpolate } = require('./interpolation.js');
const { readMarkup } = require('./markup.js');
const { keyOf, render } = require('./render.js');
const { TemplateError } = require('./template-error.js');

// The elements there are, and which of them may hold what: any, some or nothing.
const CONTENT = {
  block: 'any', button: 'any', form: 'any', image: [], input: [], navigator: 'any', text: ['text', 'block'], view: 'any',
};

const ENTITIES = {
  nbsp: '\u00a0', ensp: '\u2002', emsp: '\u2003', lt: '<', gt: '>', amp: '&', apos: "'", quot: '"',
};

/**
 * @typedef {import('./expression.js').Evaluate} Evaluate
 * @typedef {import('./markup.js').Element} Element
 * @typedef {import('./markup.js').Attribute} Attribute
 *
 * @typedef {object} Part an element of a template
 * @property {number} id which element of its template it is
 * @property {string} tag
 * @property {[string, Evaluate][]} attrs
 * @property {[string, Evaluate][]} on
 * @property {[string, Evaluate][]} data
 * @property {Loop | null} loop
 * @property {Evaluate | null} condition of wx:if or wx:elif
 * @property {'if' | 'elif' | 'else' | null} branch
 * @property {Template} children
 *
 * @typedef {{over: Evaluate, item: string, index: string, key: string}} Loop
 * @typedef {{text: Evaluate}} TextPart
 * @typedef {(Part | TextPart)[]} Template
 */

/**
 * parse reads a page's WXML. Throws a TemplateError with the line of what is malformed, and of what this phone does not
 * know: it leaves nothing out silently.
 *
 * @param {string} text
 * @param {string} [file] for the error's message
 * @returns {Template}
 */
function parse(text, file = '') {
  let elements = 0;
  const nextID = () => elements++;
  try {
    return content(readMarkup(text), nextID);
  } catch (err) {
    throw err instanceof TemplateError ? new TemplateError(err.problem, err.line, file) : err;
  }
}

/**
 * @param {(Element | import('./markup.js').Text)[]} children
 * @param {() => number} nextID
 * @returns {Template}
 */
function content(children, nextID) {
  /** @type {Template} */
  const template = [];
  for (const child of children) {
    if ('text' in child) {
      template.push({ text: interpolate(child.text, child.line, decode) });
      continue;
    }
    const part = partOf(child, nextID);
    checkBranch(part, template[template.length - 1], child.line);
    template.push(part);
  }
  return template;
}

/** partOf reads one element and what is in it. */
function partOf({ tag, attributes, children, line }, nextID) {
  checkContent(tag, children, line);
  const directives = attributes.filter(({ name }) => name.startsWith('wx:'));
  const others = attributes.filter(({ name }) => !name.startsWith('wx:'));
  if (tag === 'block' && others.length) fail(`<block> has no attribute ${others[0].name}`, others[0]);
  const part = { id: nextID(), tag, ...directed(directives), attrs: [], on: [], data: [] };
  for (const attribute of others) addAttribute(part, attribute);
  return { ...part, children: content(children, nextID) };
}

function checkContent(tag, children, line) {
  if (!Object.hasOwn(CONTENT, tag)) fail(`this phone knows no element <${tag}>`, { line });
  const allowed = CONTENT[tag];
  const wrong = allowed === 'any' ? undefined : children.find((child) => (
    'text' in child ? allowed.length === 0 : !allowed.includes(child.tag)));
  if (wrong) fail(`<${tag}> cannot hold ${'text' in wrong ? 'a text' : `<${wrong.tag}>`}`, wrong);
}

/** addAttribute puts an attribute where it belongs: a handler, a datum of the dataset, or an attribute proper. */
function addAttribute(part, attribute) {
  const { name, value } = attribute;
  const event = /^(?:bind|catch):?(.+)$/.exec(name);
  if (event) {
    if (/[^a-z]/.test(event[1])) fail(`${name}: this phone knows no such event`, attribute);
    if (value === true || value === '') fail(`${name} names no handler`, attribute);
    part.on.push([event[1], evaluator(attribute)]);
  } else if (name.includes(':')) {
    fail(`this phone knows no ${name}`, attribute);
  } else if (name.startsWith('data-')) {
    part.data.push([camelCase(name.slice('data-'.length).toLowerCase()), evaluator(attribute)]);
  } else {
    part.attrs.push([dashed(name), evaluator(attribute)]);
  }
}

const camelCase = (name) => name.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());

// WeChat takes formType for form-type.
const dashed = (name) => name.replace(/[A-Z]/g, (letter) => '-' + letter.toLowerCase());

/** decode replaces entities. What is none stays as it is: "A & B". */
function decode(text) {
  return text.replace(/&([a-z]+);/g, (whole, name) => (Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : whole));
}

module.exports = { parse, render, keyOf, TemplateError };
