// Time for the tests: clocks that stand still, timers that go off when a test says so, and what is under way.

const TURNS = 5; // of the event loop without anything under way, after which everything that could happen has happened

/** stopClock stops the phone's clock until the test ends. pass moves it by seconds, back if they are negative. */
function stopClock(t) {
  const { now } = Date;
  let at = now();
  Date.now = () => at;
  t.after(() => { Date.now = now; });
  return { pass(seconds) { at += seconds * 1000; }, now: () => at };
}

/**
 * createTimers returns timers for which time passes only when a test says so. pass(ms) runs what is due until then, in order,
 * and lets everything follow that waits for nothing else; passNext passes until the next timer, and returns for how long, or
 * undefined if there is none. pending is their number.
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

/** createActivity counts what is under way: during(work) is work's promise, isQuiet reports whether all of it has ended. */
function createActivity() {
  let underWay = 0;
  return {
    async during(work) {
      underWay++;
      try {
        return await work();
      } finally {
        underWay--;
      }
    },
    async isQuiet() {
      for (let turns = 0; turns < TURNS; turns++) {
        if (underWay > 0) return false;
        await new Promise(setImmediate);
      }
      return underWay === 0;
    },
  };
}

module.exports = { stopClock, createTimers, createActivity };
