// The words of an expression.

const TOKEN = new RegExp([
  /(?<number>(?:0|[1-9]\d*)(?:\.\d+)?|\.\d+)/,
  /(?<name>[\p{ID_Start}_$][\p{ID_Continue}$]*)/u,
  /(?<string>'(?:[^'\\\n]|\\(?:u[\da-fA-F]{4}|[nrtbfv'"\\]))*'|"(?:[^"\\\n]|\\(?:u[\da-fA-F]{4}|[nrtbfv'"\\]))*")/,
  /(?<sign>===|!==|[=!<>]=|&&|\|\||\+\+|--|[-<>+*/%!?:.()[\]])/,
].map((kind) => kind.source).join('|'), 'yu');

const KINDS = ['number', 'name', 'string', 'sign'];

const ESCAPES = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v' };

/** @typedef {{kind: string | undefined, text: string}} Token kind is one of KINDS */

/**
 * tokenize splits an expression.
 *
 * @param {string} text
 * @param {(problem: string) => never} fail
 * @returns {Token[]}
 */
function tokenize(text, fail) {
  const tokens = [];
  const end = text.trimEnd().length;
  for (let at = 0; at < end;) {
    at += text.slice(at).search(/\S/);
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text) || fail(`unexpected ${Array.from(text.slice(at))[0]}`);
    const groups = found.groups || {};
    tokens.push({ kind: KINDS.find((kind) => groups[kind] !== undefined), text: found[0] });
    at = TOKEN.lastIndex;
  }
  return tokens;
}

/** unquote gives the text that a token of kind string stands for. */
function unquote(text) {
  return text.slice(1, -1).replace(/\\(?:u(.{4})|(.))/g, (_, hex, char) => (
    hex ? String.fromCharCode(parseInt(hex, 16)) : ESCAPES[char] || char));
}

module.exports = { tokenize, unquote };
