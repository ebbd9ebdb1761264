// The markup of WXML: tags, attributes, texts and comments, whatever they mean.

const { endOfExpression } = require('./interpolation.js');
const { TemplateError } = require('./template-error.js');

const MOST_NESTED = 100;

const TAG = /<([a-z][a-z0-9-]*)/y;
const ATTRIBUTE = /\s+([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'))?/y;
const TAG_END = /\s*(\/?)>/y;
const PLAIN = /[^<{]+|\{(?!\{)/y; // text without a tag or an expression
const CLOSING_TAG = /<\/([a-z][a-z0-9-]*)\s*>/y;

/**
 * @typedef {object} Attribute
 * @property {string} name
 * @property {string | true} value true for an attribute without one
 * @property {number} line
 *
 * @typedef {object} Element
 * @property {string} tag
 * @property {Attribute[]} attributes
 * @property {(Element | Text)[]} children
 * @property {number} line
 *
 * @typedef {{text: string, line: number}} Text never of white space alone
 */

/**
 * readMarkup reads the elements and texts of a WXML file. Throws a TemplateError.
 *
 * @param {string} text
 * @returns {(Element | Text)[]}
 */
function readMarkup(text) {
  const reader = new Reader(text);
  while (reader.at < text.length) {
    if (text.startsWith('<!--', reader.at)) reader.comment();
    else if (text.startsWith('</', reader.at)) reader.closingTag();
    else if (text[reader.at] === '<') reader.tag();
    else reader.text();
  }
  return reader.end();
}

class Reader {
  constructor(source) {
    this.source = source;
    this.at = 0;
    this.line = 1;
    /** @type {(Element | Text)[]} */
    this.roots = [];
    /** @type {Element[]} */
    this.open = [];
  }

  /** @returns {never} */
  fail(problem, line = this.line) {
    throw new TemplateError(problem, line);
  }

  /** moveTo goes on at this index. */
  moveTo(index) {
    this.line += this.source.slice(this.at, index).split('\n').length - 1;
    this.at = index;
  }

  /** match takes what stands here, if it has this form. */
  match(form) {
    form.lastIndex = this.at;
    const found = form.exec(this.source);
    if (found) this.moveTo(form.lastIndex);
    return found;
  }

  add(child) {
    const parent = this.open[this.open.length - 1];
    (parent ? parent.children : this.roots).push(child);
  }

  comment() {
    const end = this.source.indexOf('-->', this.at + 4);
    if (end < 0) this.fail('a comment without -->');
    this.moveTo(end + 3);
  }

  closingTag() {
    const { line } = this;
    const found = this.match(CLOSING_TAG);
    if (!found) this.fail('a malformed closing tag');
    const element = this.open.pop();
    if (!element) this.fail(`</${found[1]}> closes nothing`, line);
    if (element.tag !== found[1]) this.fail(`</${found[1]}> where <${element.tag}> of line ${element.line} is open`, line);
  }

  tag() {
    const { line } = this;
    const found = this.match(TAG);
    if (!found) this.fail('"<" begins no tag; in a text it is written &lt;');
    const element = { tag: found[1], attributes: this.attributes(), children: [], line };
    const end = this.match(TAG_END);
    if (!end) this.fail(`<${element.tag}> of line ${line} has a malformed attribute or no end`);
    this.add(element);
    if (end[1]) return;
    this.open.push(element);
    if (this.open.length > MOST_NESTED) this.fail(`elements are nested deeper than ${MOST_NESTED}`);
  }

  attributes() {
    const attributes = [];
    const names = new Set();
    for (let found = this.match(ATTRIBUTE); found; found = this.match(ATTRIBUTE)) {
      const [whole, name, quoted] = found;
      const line = this.line - (whole.trimStart().split('\n').length - 1);
      if (names.has(name)) this.fail(`the attribute ${name} is there twice`, line);
      names.add(name);
      attributes.push({ name, value: quoted === undefined ? true : quoted.slice(1, -1), line });
    }
    return attributes;
  }

  text() {
    const { at, line } = this;
    while (this.at < this.source.length && this.source[this.at] !== '<') {
      if (this.match(PLAIN)) continue;
      this.moveTo(endOfExpression(this.source, this.at, this.line));
    }
    const text = this.source.slice(at, this.at);
    if (text.trim()) this.add({ text, line });
  }

  end() {
    const element = this.open.pop();
    if (element) this.fail(`<${element.tag}> is never closed`, element.line);
    return this.roots;
  }
}

module.exports = { readMarkup };
