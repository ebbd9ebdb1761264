// What setup sets.

import { withoutSlash } from './urls.js';
import { isText } from './values.js';

/**
 * @typedef {object} Options
 * @property {string} server base URL of the wxlogin server
 * @property {string[]} services further base URLs that the token may be sent to. Default: none
 * @property {object | null} platform wx, uni or Taro. Default, or null: the global that is there, in this order
 * @property {number} maxWait seconds; a longer Retry-After is not waited for but handed to the caller. Default: 10
 * @property {number} loginTimeout seconds that wx.login may take. Default: 10
 * @property {number} requestTimeout seconds that a request, an upload or a download may take, if it is given no timeout of
 *   its own. Default: 30; the server answers within 20
 * @property {number} dialogTimeout seconds that wx.getUserInfo may take, which may ask the user. Default: 120
 * @property {(seconds: number) => Promise<void>} wait waits; for tests
 */

/** @type {Options} */
export const options = {
  server: '',
  services: [],
  platform: null,
  maxWait: 10,
  loginTimeout: 10,
  requestTimeout: 30,
  dialogTimeout: 120,
  wait: (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); }),
};

/**
 * setup must come before the other calls; app.js is the place. A value of another type than the option's changes nothing.
 * @param {Partial<Options>} changes
 */
export function setup(changes) {
  const given = /** @type {any} */ (changes || {});
  const known = /** @type {any} */ (options);
  for (const name of Object.keys(known)) {
    if (isLike(known[name], given[name])) known[name] = given[name];
  }
  options.server = withoutSlash(options.server);
  options.services = options.services.filter(isText).map(withoutSlash);
}

/** @param {any} model @param {any} value */
function isLike(model, value) {
  if (typeof model === 'number') return value >= 0 && typeof value === 'number';
  return typeof value === typeof model && Array.isArray(value) === Array.isArray(model);
}
