// How a call of wx answers: success or fail, then complete, or a promise for a caller without callbacks.

/**
 * @typedef {{success?: Function, fail?: Function, complete?: Function}} Callbacks
 */

/**
 * answer does the work of the call with this name and tells the callbacks how it ended, never before the call has
 * returned. errMsg is WeChat's: `${name}:ok`, or `${name}:fail ${what the work's error says}`. Without callbacks it
 * returns a promise, as WeChat does. What a callback throws itself is no failure of the call.
 *
 * @param {string} name
 * @param {Callbacks | undefined} options
 * @param {() => any} work may return a promise
 * @returns {Promise<any> | undefined}
 */
function answer(name, options = {}, work) {
  if (hasCallbacks(options)) {
    tell(name, options, work);
    return undefined;
  }
  return new Promise((success, fail) => { tell(name, { success, fail }, work); });
}

/** hasCallbacks tells whether the caller wants callbacks and no promise. */
function hasCallbacks(options) {
  return Boolean(options && (options.success || options.fail || options.complete));
}

/**
 * @param {string} name
 * @param {Callbacks} callbacks
 * @param {() => any} work
 */
async function tell(name, { success, fail, complete }, work) {
  let told = success;
  let res;
  try {
    res = { ...(await work()), errMsg: `${name}:ok` };
  } catch (/** @type {any} */ err) {
    told = fail;
    res = { errMsg: `${name}:fail ${err.message}` };
  }
  try {
    if (told) told(res);
  } finally {
    if (complete) complete(res);
  }
}

module.exports = { answer, hasCallbacks };
