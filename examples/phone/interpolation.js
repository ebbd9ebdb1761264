// Texts with {{expressions}} in them, as attributes' values and between tags.

const { compile } = require('./expression.js');
const { TemplateError } = require('./template-error.js');

/**
 * interpolate reads such a text. A text that is one whole expression has that expression's value, of whatever type;
 * any other is a string, to which undefined adds nothing. Throws a TemplateError.
 *
 * @param {string} text
 * @param {number} line where it begins
 * @param {(literal: string) => string} [decode] what to do to the parts outside of expressions
 * @returns {import('./expression.js').Evaluate}
 */
function interpolate(text, line, decode = (literal) => literal) {
  const parts = split(text, line).map((part) => (
    part.expression ? compile(part.text, part.line) : literally(decode(part.text))));
  if (parts.length === 1) return parts[0];
  return (scope) => parts.map((part) => toText(part(scope))).join('');
}

const literally = (text) => () => text;

/** toText is what a value looks like on the screen. */
function toText(value) {
  return value === undefined ? '' : String(value);
}

function split(text, line) {
  const parts = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('{{', at);
    const end = open < 0 ? text.length : open;
    if (end > at) parts.push({ expression: false, text: text.slice(at, end), line });
    if (open < 0) break;
    line += newlines(text.slice(at, open));
    at = endOfExpression(text, open, line);
    const inner = text.slice(open + 2, at - 2);
    parts.push({ expression: true, text: inner, line });
    line += newlines(inner);
  }
  return parts.length ? parts : [{ expression: false, text: '', line }];
}

function newlines(text) {
  return text.split('\n').length - 1;
}

/**
 * endOfExpression gives the index after the }} that belongs to the {{ at open. Braces in a string are the string's.
 * Throws a TemplateError where there is none.
 */
function endOfExpression(text, open, line) {
  let quote = '';
  for (let at = open + 2; at < text.length; at++) {
    const char = text[at];
    if (quote) {
      if (char === '\\') at++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") {
      quote = char;
    } else if (char === '}' && text[at + 1] === '}') {
      return at + 2;
    }
  }
  throw new TemplateError('{{ without }}', line);
}

module.exports = { interpolate, endOfExpression, toText };
