// A random walk: a user with two mini-programs does what users do, often several things at once, while things go wrong.
// WALK_SECONDS is for how long (10), WALK_SEED which walk it is (1).
//
// It needs a demo of its own: a WeChat that is busy is busy for every test.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const test = require('node:test');
const { actions, createFaults, weights } = require('./actions.js');
const { checkAction, checkMiniProgram } = require('./invariants.js');
const { SECOND_APP } = require('../session.js');
const { createMiniProgram, takeTime } = require('./miniprogram.js');

const page = process.env.WXLOGIN_PAGE;
assert.ok(page, 'set WXLOGIN_PAGE to the address that the demo prints');

const SECONDS = Number(process.env.WALK_SECONDS || 10);
const SEED = Number(process.env.WALK_SEED || 1);
const APP_IDS = ['wx000000000000demo', SECOND_APP];
const BURSTS = 20; // of a leg, at whose end everything must be well
const MORE_LEGS = 30; // at most, until everything has happened
const MAX_AT_ONCE = 6;
const ADVICE = ['400 relogin', '401 relogin', '422 relogin', '503 retry']; // that every walk must meet
const MAX_TRIES = 50; // to log in at the end of a leg, 0.1 s each: WeChat may still be busy for the server

test(`a walk of ${SECONDS} s with seed ${SEED}`, async (t) => {
  const walk = createWalk(t, createRandom(SEED));
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) await walk.leg();
  const all = [...Object.keys(actions), ...weights.anyTime, ...weights.betweenBursts, ...ADVICE];
  const missing = () => all.filter((name) => !walk.count.get(name));
  for (let legs = 0; missing().length > 0 && legs < MORE_LEGS; legs++) await walk.leg(); // on a slow machine
  t.diagnostic(JSON.stringify(Object.fromEntries(walk.count)));
  assert.deepEqual(missing(), []); // a walk on which little happens shows little
});

/** createRandom returns random choices that a seed repeats (mulberry32): below(n) is 0 to n-1, of(list) one of its items. */
function createRandom(seed) {
  let state = seed >>> 0;

  function below(n) {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x = (x + Math.imul(x ^ (x >>> 7), x | 61)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  return { below, of: (list) => list[below(list.length)] };
}

function createWalk(t, random) {
  const time = takeTime(t);
  const user = 'w-' + randomUUID().slice(0, 13);
  const base = `${page}/phones/${user}`;
  const miniprograms = APP_IDS.map((appId) => createMiniProgram({ base, user, appId, random, time }));
  const faults = createFaults({ inject: (kind) => inject(base, kind), time, random });
  const count = new Map();
  const tally = (name) => count.set(name, (count.get(name) || 0) + 1);

  async function act({ name, miniprogram }, trouble) {
    const seen = await miniprogram.watch(() => actions[name](miniprogram, random));
    tally(name);
    if (seen.problem) tally(seen.problem.code);
    for (const { status, advice } of seen.sent) if (advice) tally(`${status} ${advice}`);
    return { name, miniprogram, isDone: !seen.problem, check: () => checkAction(name, seen, trouble) };
  }

  async function strike(names, trouble) {
    const name = random.of(names);
    await faults[name](random.of(miniprograms));
    tally(name);
    trouble.add(name);
  }

  /** burst is some actions at once, often with a fault before or among them. */
  async function burst() {
    const trouble = new Set();
    if (random.below(4) === 0) await strike(weights.betweenBursts, trouble);
    if (random.below(3) === 0) await strike(weights.anyTime, trouble);
    const plans = Array.from({ length: 1 + random.below(MAX_AT_ONCE) }, () => (
      { name: random.of(weights.actions), miniprogram: random.of(miniprograms) }));
    const atOnce = plans.map((plan) => act(plan, trouble));
    if (random.below(4) === 0) {
      trouble.add('meanwhile');
      await strike(weights.anyTime, trouble);
    }
    for (const { name } of plans) trouble.add(name);
    const ends = await time.settle(Promise.all(atOnce));
    await time.timers.pass(0); // the listeners'
    for (const { check } of ends) check();
    for (const miniprogram of miniprograms) {
      const own = ends.filter((end) => end.miniprogram === miniprogram);
      checkMiniProgram(miniprogram, own.map(({ name }) => name), own.filter(({ isDone }) => isDone).map(({ name }) => name));
      miniprogram.mend();
    }
  }

  return {
    count,
    async leg() {
      for (let i = 0; i < BURSTS; i++) await burst();
      for (const miniprogram of miniprograms) await endWell(miniprogram, base, time);
    },
  };
}

async function inject(base, kind) {
  const res = await fetch(`${base}/faults/${kind}`, { method: 'POST' });
  assert.equal(res.status, 204);
}

/** endWell logs in and checks that the server knows the token that is kept. */
async function endWell({ client, token }, base, time) {
  const { userInfo } = await time.settle(untilWell(client, time));
  const res = await fetch(`${base}/server/userInfo`, { headers: { Authorization: `Bearer ${token()}` } });
  assert.equal(res.status, 200);
  assert.deepEqual((await res.json()).userInfo, userInfo);
}

async function untilWell(client, time) {
  let latest;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    try {
      return await client.login();
    } catch (problem) {
      assert.ok(problem.action === 'retry' || problem.code === 'invalid_code', problem.stack);
      latest = problem;
    }
    time.pass(latest.retryAfter);
    await time.rest(100);
  }
  throw latest;
}
