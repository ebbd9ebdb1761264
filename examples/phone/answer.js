// How a call of wx answers: success or fail, then complete; or a promise, if the caller gave no callbacks.

/** @typedef {{success?: Function, fail?: Function, complete?: Function}} Callbacks */

/**
 * answer runs work and reports its result, never before the call itself has returned. errMsg is WeChat's: `${name}:ok`, or
 * `${name}:fail ` and the message of the error. Like WeChat, it returns a promise if there are no callbacks. What a callback
 * throws is not a failure of the call.
 *
 * @param {string} name
 * @param {Callbacks | undefined} options
 * @param {() => any} work may return a promise
 * @returns {Promise<any> | undefined}
 */
function answer(name, options = {}, work) {
  if (options && (options.success || options.fail || options.complete)) {
    report(name, options, work);
    return undefined;
  }
  return new Promise((success, fail) => { report(name, { success, fail }, work); });
}

/**
 * @param {string} name
 * @param {Callbacks} callbacks
 * @param {() => any} work
 */
async function report(name, { success, fail, complete }, work) {
  let callback = success;
  let res;
  try {
    res = { ...(await work()), errMsg: `${name}:ok` };
  } catch (/** @type {any} */ err) {
    callback = fail;
    res = { errMsg: `${name}:fail ${err.message}` };
  }
  try {
    if (callback) callback(res);
  } finally {
    if (complete) complete(res);
  }
}

module.exports = { answer };
