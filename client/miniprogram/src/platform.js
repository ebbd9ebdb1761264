// Calls of the platform: of WeChat's wx, or of what stands before it in uni-app and Taro.

import { failureOf } from './failures.js';
import { options } from './options.js';
import { Problem } from './problem.js';
import { recordOf, settled } from './values.js';

/** @typedef {'request' | 'uploadFile' | 'downloadFile'} Sending */

const GRACE = 2000; // milliseconds that WeChat gets to say itself that a timeout of its own is over

export const LONGEST = 0x7fffffff - GRACE; // milliseconds: a timer that is longer goes off at once

/** @param {number} seconds */
export function milliseconds(seconds) {
  return Math.min(seconds * 1000, LONGEST);
}

/**
 * platform is what setup was given, or the global that is there by now.
 * @returns {any}
 */
export function platform() {
  if (options.platform) return options.platform;
  if (typeof wx !== 'undefined') return wx;
  // @ts-ignore: WeChat's typings know neither
  return typeof uni !== 'undefined' ? uni : typeof Taro !== 'undefined' ? Taro : {};
}

/**
 * callFor is call for what takes a timeout itself.
 * @param {number} timeout milliseconds
 * @param {'login' | Sending} name
 * @param {object} args
 */
export function callFor(timeout, name, args) {
  return call(name, Object.assign({}, args, { timeout }), timeout + GRACE);
}

/**
 * call makes a promise of a wx call. Its failure is the phone's or the network's, not an answer. WeChat may not call back
 * at all, and then the promise rejects after bound milliseconds; what comes later changes nothing.
 * @param {'login' | 'getUserInfo' | Sending} name
 * @param {object} args
 * @param {number} bound
 * @returns {Promise<any>}
 */
export function call(name, args, bound) {
  const wx = platform();
  if (typeof wx[name] !== 'function') {
    return Promise.reject(new Problem({ code: 'unsupported', detail: `This WeChat has no wx.${name}.` }));
  }
  return new Promise((resolve, reject) => {
    /** @type {any} */
    let task;
    const timer = setTimeout(() => {
      reject(new Problem({ code: 'network', detail: `wx.${name} did not call back within ${bound} ms.` }));
      abort(task);
    }, bound);
    const success = (/** @type {any} */ res) => { clearTimeout(timer); resolve(recordOf(res)); };
    const fail = (/** @type {any} */ res) => { clearTimeout(timer); reject(failureOf(name, res)); };
    try {
      task = wx[name](Object.assign({}, args, { success, fail }));
      settled(task); // Taro gives a promise as well; what that rejects with, fail has got
    } catch (err) {
      fail(err);
    }
  });
}

/** @param {any} task what a wx call has returned: of what takes its time, what ends it */
function abort(task) {
  try {
    if (task && typeof task.abort === 'function') task.abort();
  } catch (err) {
    // It is given up in any case.
  }
}
