// A page's data: copies of it, and changes by path.

const FORBIDDEN = ['__proto__', 'constructor', 'prototype']; // these would lead out of the data

/** deepCopy copies arrays and plain objects all the way down. Functions and other things stay the same. */
function deepCopy(value) {
  if (Array.isArray(value)) return value.map(deepCopy);
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, deepCopy(inner)]));
}

function isPlain(value) {
  if (typeof value !== 'object' || value === null) return false;
  const proto = Object.getPrototypeOf(value);
  return proto === null || Object.getPrototypeOf(proto) === null;
}

/**
 * setPath changes data where a key of setData says, as 'name', 'user.name' or 'list[0].name'. What is missing on the way
 * is made. Throws where the key is malformed.
 *
 * @param {object} data
 * @param {string} path
 * @param {any} value
 */
function setPath(data, path, value) {
  const keys = parsePath(path);
  let inner = data;
  for (let i = 0; i + 1 < keys.length; i++) {
    if (typeof inner[keys[i]] !== 'object' || inner[keys[i]] === null) {
      inner[keys[i]] = typeof keys[i + 1] === 'number' ? [] : {};
    }
    inner = inner[keys[i]];
  }
  inner[keys[keys.length - 1]] = value;
}

/** parsePath gives the keys in a path: texts, and numbers for what is in brackets. */
function parsePath(path) {
  if (!/^[^.[\]]+(?:\[\d+\])*(?:\.[^.[\]]+(?:\[\d+\])*)*$/.test(path)) {
    throw new Error(`setData: "${path}" is no path such as a.b or list[0].c`);
  }
  const keys = Array.from(path.matchAll(/\[(\d+)\]|[^.[\]]+/g), ([name, index]) => (index ? Number(index) : name));
  if (keys.some((key) => FORBIDDEN.includes(key))) throw new Error(`setData: "${path}" is not allowed`);
  return keys;
}

module.exports = { deepCopy, setPath };
