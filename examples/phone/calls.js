// The wx object as one mini-program sees it.

const { hasCallbacks } = require('./answer.js');

const TASKS = ['request', 'uploadFile', 'downloadFile']; // these never return a promise

/**
 * watchCalls returns a wx object for a mini-program: the phone's, with what more adds for this mini-program alone. Its
 * calls count as under way until they are answered, and what a callback throws is reported like any other fault of the
 * mini-program.
 *
 * @param {Record<string, any>} wx looked at again with each call, so that a test may replace a function of it at any time
 * @param {Record<string, any>} more
 * @param {ReturnType<typeof import('./work.js').createWork>} work
 * @returns {Record<string, any>}
 */
function watchCalls(wx, more, work) {
  return new Proxy(wx, {
    get(_, property) {
      const name = String(property);
      const call = Object.hasOwn(more, name) ? more[name] : wx[name];
      if (typeof call !== 'function' || name.endsWith('Sync')) return call;
      return (...args) => watch(name, call, args, work);
    },
  });
}

function watch(name, call, args, work) {
  const [options] = args;
  if (TASKS.includes(name) || hasCallbacks(options)) return call(watchCallbacks(options, work));
  const res = call(...args);
  if (res && typeof res.then === 'function') {
    work.begin();
    res.then(work.end, work.end);
  }
  return res;
}

/** watchCallbacks counts from now until the call is answered, which complete need not tell where success or fail did. */
function watchCallbacks(options, work) {
  let answered = false;
  const watched = (callback) => (res) => {
    if (callback) work.run(() => callback(res));
    if (!answered) work.end();
    answered = true;
  };
  work.begin();
  return {
    ...options,
    success: watched(options.success),
    fail: watched(options.fail),
    complete: watched(options.complete),
  };
}

module.exports = { watchCalls };
