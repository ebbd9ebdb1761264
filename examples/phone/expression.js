// The expressions between {{ and }}: paths, indices, literals, ! - + * / % < > <= >= == != === !== && || ?: and
// parentheses. They mean what they mean in JavaScript, with two exceptions that keep them harmless: a path leads only to
// data, never to a method or to what JavaScript adds, and one that leads nowhere is undefined and no error.

const { TemplateError } = require('./template-error.js');
const { tokenize, unquote } = require('./tokens.js');

const MOST_CHARACTERS = 1000;
const MOST_NESTED = 50;

/** @typedef {(scope: object) => any} Evaluate gives the value of an expression for the data in scope */

const WORDS = new Map([['true', true], ['false', false], ['null', null], ['undefined', undefined]]);

/** The operators between two operands. The higher the level, the closer they bind. */
const BINARY = {
  '||': [1, (a, b) => (scope) => a(scope) || b(scope)],
  '&&': [2, (a, b) => (scope) => a(scope) && b(scope)],
  '==': [3, (a, b) => (scope) => a(scope) == b(scope)],
  '!=': [3, (a, b) => (scope) => a(scope) != b(scope)],
  '===': [3, (a, b) => (scope) => a(scope) === b(scope)],
  '!==': [3, (a, b) => (scope) => a(scope) !== b(scope)],
  '<': [4, (a, b) => (scope) => a(scope) < b(scope)],
  '>': [4, (a, b) => (scope) => a(scope) > b(scope)],
  '<=': [4, (a, b) => (scope) => a(scope) <= b(scope)],
  '>=': [4, (a, b) => (scope) => a(scope) >= b(scope)],
  '+': [5, (a, b) => (scope) => a(scope) + b(scope)],
  '-': [5, (a, b) => (scope) => a(scope) - b(scope)],
  '*': [6, (a, b) => (scope) => a(scope) * b(scope)],
  '/': [6, (a, b) => (scope) => a(scope) / b(scope)],
  '%': [6, (a, b) => (scope) => a(scope) % b(scope)],
};

const UNARY = {
  '!': (a) => (scope) => !a(scope),
  '-': (a) => (scope) => -a(scope),
};

/**
 * compile reads an expression. Throws a TemplateError where it is malformed.
 *
 * @param {string} text without the braces
 * @param {number} line where it stands
 * @returns {Evaluate}
 */
function compile(text, line) {
  const fail = (problem) => { throw new TemplateError(`{{${text.trim().slice(0, 80)}}}: ${problem}`, line); };
  if (text.length > MOST_CHARACTERS) fail(`longer than ${MOST_CHARACTERS} characters`);
  const parser = new Parser(tokenize(text, fail), fail);
  const evaluate = parser.conditional();
  if (parser.token) fail(`unexpected ${parser.token.text}`);
  return evaluate;
}

/** Parser reads tokens by recursive descent: one method for each kind of expression. */
class Parser {
  /**
   * @param {import('./tokens.js').Token[]} tokens
   * @param {(problem: string) => never} fail
   */
  constructor(tokens, fail) {
    this.tokens = tokens;
    this.fail = fail;
    this.at = 0;
    this.nested = 0;
  }

  /** token is the next one, or undefined at the end. */
  get token() {
    return this.tokens[this.at];
  }

  next() {
    if (!this.token) this.fail('it ends too early');
    return this.tokens[this.at++];
  }

  /** accept takes the next token where it is this sign. */
  accept(sign) {
    const found = this.token && this.token.kind === 'sign' && this.token.text === sign;
    if (found) this.at++;
    return found;
  }

  expect(sign) {
    if (this.accept(sign)) return;
    this.fail(this.token ? `unexpected ${this.token.text}, not ${sign}` : `it ends without ${sign}`);
  }

  /** nest reads something that may hold itself, but not without end. */
  nest(read) {
    if (++this.nested > MOST_NESTED) this.fail(`nested deeper than ${MOST_NESTED}`);
    const evaluate = read();
    this.nested--;
    return evaluate;
  }

  conditional() {
    return this.nest(() => {
      const condition = this.binary(1);
      if (!this.accept('?')) return condition;
      const yes = this.conditional();
      this.expect(':');
      const no = this.conditional();
      return (scope) => (condition(scope) ? yes(scope) : no(scope));
    });
  }

  /** binary reads operators of this level and above. */
  binary(least) {
    let left = this.unary();
    for (;;) {
      const [level, make] = this.operator();
      if (level < least) return left;
      this.next();
      left = make(left, this.binary(level + 1));
    }
  }

  operator() {
    const { token } = this;
    return (token && token.kind === 'sign' && BINARY[token.text]) || [0];
  }

  unary() {
    const sign = ['!', '-'].find((operator) => this.accept(operator));
    return sign ? UNARY[sign](this.nest(() => this.unary())) : this.path();
  }

  path() {
    let object = this.primary();
    for (;;) {
      if (this.accept('.')) {
        object = member(object, literal(this.name()));
      } else if (this.accept('[')) {
        object = member(object, this.conditional());
        this.expect(']');
      } else {
        return object;
      }
    }
  }

  name() {
    const token = this.next();
    if (token.kind !== 'name') this.fail(`unexpected ${token.text}`);
    return token.text;
  }

  primary() {
    if (this.accept('(')) {
      const inner = this.conditional();
      this.expect(')');
      return inner;
    }
    const { kind, text } = this.next();
    if (kind === 'sign') this.fail(`unexpected ${text}`);
    if (kind === 'number') return literal(Number(text));
    if (kind === 'string') return literal(unquote(text));
    return WORDS.has(text) ? literal(WORDS.get(text)) : (scope) => own(scope, text);
  }
}

const literal = (value) => () => value;

const member = (object, key) => (scope) => own(object(scope), key(scope));

/** own is what value itself holds under key, and never something that JavaScript adds to it. */
function own(value, key) {
  if (value === undefined || value === null || !Object.hasOwn(Object(value), key)) return undefined;
  return typeof value[key] === 'function' ? undefined : value[key];
}

module.exports = { compile };
