// The time of the walk: it passes where something waits for it, and nobody is kept waiting.

const { createTimers } = require('../clock.js');

const TURNS = 5; // of the event loop without anything under way, after which all has happened that could

/**
 * takeTime replaces the phone's clock until the test ends. timers are for the clients; settle waits for a promise, and has
 * the time pass for their timers as soon as nothing else is under way: of fetch, and of what delay and rest have begun.
 */
function takeTime(t) {
  const { now } = Date;
  const timers = createTimers();
  let passed = 0; // seconds
  let underWay = 0;
  Date.now = () => now() + passed * 1000;
  t.after(() => { Date.now = now; });

  async function during(work) {
    underWay++;
    try {
      return await work();
    } finally {
      underWay--;
    }
  }

  async function isQuiet() {
    for (let turns = 0; turns < TURNS; turns++) {
      if (underWay > 0) return false;
      await new Promise(setImmediate);
    }
    return underWay === 0;
  }

  const time = {
    timers,

    pass(seconds) { passed += seconds; },

    rest: (ms) => during(() => new Promise((resolve) => { setTimeout(resolve, ms); })),

    delay(work, ms) { time.rest(ms).then(work); },

    /** fetch is Node's, under way until the whole answer is there. */
    fetch: (...args) => during(async () => {
      const { status, headers, ...res } = await whole(await globalThis.fetch(...args));
      return new Response([204, 304].includes(status) ? null : res.body, { status, headers });
    }),

    /** settle is the promise. That it stays pending, with nothing more to come that could end it, is an error. */
    async settle(promise) {
      let pending = true;
      const over = () => { pending = false; };
      promise.then(over, over);
      while (pending) {
        if (!await isQuiet()) await new Promise((resolve) => { setTimeout(resolve, 1); });
        else if (pending && timers.pending === 0) throw new Error('a promise stays pending');
        else if (pending) time.pass(await timers.passNext() / 1000);
      }
      return promise;
    },
  };
  return time;
}

async function whole(res) {
  return { status: res.status, headers: res.headers, body: await res.arrayBuffer() };
}

module.exports = { takeTime };
