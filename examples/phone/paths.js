// Paths inside a mini-program, and the queries behind them.

/**
 * resolve gives the path from the mini-program's root for one that is written in the file from: it begins in that file's
 * folder, or at the root where it begins with a slash.
 *
 * @param {string} from '' for the root
 * @param {string} asked
 */
function resolve(from, asked) {
  const parts = asked.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const part of asked.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}

/** parseQuery gives what stands behind a page's path. WeChat leaves the decoding to the page. */
function parseQuery(query) {
  const pairs = query.split('&').filter(Boolean).map((pair) => pair.split('='));
  return Object.fromEntries(pairs.map(([name, value = '']) => [name, value]));
}

module.exports = { resolve, parseQuery };
