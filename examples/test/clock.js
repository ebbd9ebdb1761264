// A clock that stands still, for tests of what depends on time.

/** stopClock stops the phone's clock until the test ends. pass moves it by seconds, back where they are negative. */
function stopClock(t) {
  const { now } = Date;
  let at = now();
  Date.now = () => at;
  t.after(() => { Date.now = now; });
  return { pass(seconds) { at += seconds * 1000; }, now: () => at };
}

module.exports = { stopClock };
