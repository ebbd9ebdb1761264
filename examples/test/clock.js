// Clocks and timers of a test's own, for what depends on time.

/** stopClock stops the phone's clock until the test ends. pass moves it by seconds, back where they are negative. */
function stopClock(t) {
  const { now } = Date;
  let at = now();
  Date.now = () => at;
  t.after(() => { Date.now = now; });
  return { pass(seconds) { at += seconds * 1000; }, now: () => at };
}

/**
 * createTimers returns timers for which time passes only when a test says so: launch({ ...phone, timers }). pass(ms) runs
 * what is due until then, in order, and lets all follow that waits for nothing more; passNext passes until the next timer,
 * and returns for how long, or undefined if there is none. pending is how many there are.
 */
function createTimers() {
  const timers = new Map();
  let now = 0;
  let latest = 0;
  const next = () => [...timers].sort(([, a], [, b]) => a.due - b.due)[0];

  async function passNext() {
    const [id, timer] = next() || [];
    if (!timer) return undefined;
    const passed = timer.due - now;
    timers.delete(id);
    now = timer.due;
    timer.done();
    await new Promise(setImmediate);
    return passed;
  }

  return {
    setTimeout(done, ms) {
      timers.set(++latest, { done, due: now + ms });
      return latest;
    },
    clearTimeout(id) { timers.delete(id); },
    get pending() { return timers.size; },
    passNext,
    async pass(ms) {
      const end = now + ms;
      await new Promise(setImmediate);
      while (next() && next()[1].due <= end) await passNext();
      now = end;
    },
  };
}

module.exports = { stopClock, createTimers };
