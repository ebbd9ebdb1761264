// Random choices that are the same in every run, so that a failure comes back.

/** createRandom returns them for a seed: below(n) is 0 to n-1, of(list) one of its items. */
function createRandom(seed) {
  let state = seed >>> 0;

  // The generator is mulberry32.
  function below(n) {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x = (x + Math.imul(x ^ (x >>> 7), x | 61)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  return { below, of: (list) => list[below(list.length)] };
}

module.exports = { createRandom };
