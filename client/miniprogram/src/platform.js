// Calls of the platform: of WeChat's wx.

import { failureOf } from './failures.js';
import { problemWith } from './problem.js';
import { recordOf } from './values.js';

const GRACE = 2000; // milliseconds that WeChat gets to say itself that a timeout of its own is over

export const LONGEST = 0x7fffffff - GRACE; // milliseconds: a timer that is longer goes off at once

/** @param {number} seconds */
export function milliseconds(seconds) {
  return Math.min(seconds * 1000, LONGEST);
}

/**
 * callFor is call for what takes a timeout itself.
 * @param {number} timeout milliseconds
 * @param {'login' | 'request' | 'uploadFile'} name
 * @param {object} args
 */
export function callFor(timeout, name, args) {
  return call(name, Object.assign({}, args, { timeout }), timeout + GRACE);
}

/**
 * call makes a promise of a wx call. Its failure is the phone's or the network's, not an answer. WeChat may not call back
 * at all, and then the promise rejects after bound milliseconds; what comes later changes nothing.
 * @param {'login' | 'request' | 'uploadFile' | 'getUserInfo'} name
 * @param {object} args
 * @param {number} bound
 * @returns {Promise<any>}
 */
export function call(name, args, bound) {
  const api = apiOf(name);
  if (!api) return Promise.reject(problemWith({ code: 'unsupported', detail: `This WeChat has no wx.${name}.` }));
  return new Promise((resolve, reject) => {
    /** @type {any} */
    let task;
    const timer = setTimeout(() => {
      reject(problemWith({ code: 'network', detail: `wx.${name} did not call back within ${bound} ms.` }));
      abort(task);
    }, bound);
    const success = (/** @type {any} */ res) => { clearTimeout(timer); resolve(recordOf(res)); };
    const fail = (/** @type {any} */ res) => { clearTimeout(timer); reject(failureOf(name, res)); };
    try {
      task = api(Object.assign({}, args, { success, fail }));
    } catch (err) {
      fail(err);
    }
  });
}

/** @param {string} name */
function apiOf(name) {
  const api = typeof wx === 'undefined' ? null : /** @type {any} */ (wx)[name];
  return typeof api === 'function' ? api : null;
}

/** @param {any} task what a wx call has returned: of a request or an upload, what ends it */
function abort(task) {
  try {
    if (task && typeof task.abort === 'function') task.abort();
  } catch (err) {
    // It is given up in any case.
  }
}
