// What a mini-program has under way, so that whoever waits for it need not guess for how long.

/**
 * createWork returns the count of what is under way in one mini-program.
 *
 * @param {(err: any) => void} report gets what goes wrong in it
 */
function createWork(report) {
  let underWay = 0;
  let waiting = [];

  function begin() {
    underWay++;
  }

  function end() {
    underWay--;
    if (underWay === 0 && waiting.length) setTimeout(settle);
  }

  // What follows from the last end, such as the next call of a chain, has begun by the time of this.
  function settle() {
    if (underWay > 0) return;
    const ready = waiting;
    waiting = [];
    for (const resolve of ready) resolve();
  }

  /**
   * run calls the mini-program's code, and counts the promise that it may return. What it throws or rejects with is
   * reported. The promise that run returns resolves in any case.
   */
  async function run(code) {
    begin();
    try {
      await code();
    } catch (err) {
      report(err);
    } finally {
      end();
    }
  }

  /** idle returns a promise that resolves when nothing is under way any more. */
  function idle() {
    return new Promise((resolve) => {
      waiting.push(resolve);
      if (underWay === 0) setTimeout(settle);
    });
  }

  return { begin, end, run, idle };
}

module.exports = { createWork };
