// A random walk: a person with two mini-programs does what people do, often several things at once, while what goes
// wrong in real life goes wrong. WALK_SECONDS is for how long (10), WALK_SEED which walk it is (1).
//
// It needs a demo of its own: a WeChat that is busy is busy for everybody.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const test = require('node:test');
const { createRandom } = require('../random.js');
const { createProgram, mend } = require('./program.js');
const { deeds, usual, createFaults, quiet, any } = require('./deeds.js');
const { checkAction } = require('./rules.js');
const { takeTime } = require('./time.js');

const page = process.env.WXLOGIN_PAGE;
assert.ok(page, 'set WXLOGIN_PAGE to the address that the demo prints');

const SECONDS = Number(process.env.WALK_SECONDS || 10);
const SEED = Number(process.env.WALK_SEED || 1);
const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];
const BURSTS = 20; // of a leg, at whose end everything must be well
const MORE_LEGS = 30; // at most, until everything has happened
const MOST_AT_ONCE = 6;
const ADVICE = ['400 relogin', '401 relogin', '422 relogin', '503 retry']; // that every walk must meet
const MOST_TRIES = 50; // to log in at the end of a leg, 0.1 s each: WeChat may still be busy for the server

test(`a walk of ${SECONDS} s with seed ${SEED}`, async (t) => {
  const walk = createWalk(t, createRandom(SEED));
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) await walk.leg();
  const missing = () => [...Object.keys(deeds), ...any, ...quiet, ...ADVICE].filter((name) => !walk.count.get(name));
  for (let legs = 0; missing().length > 0 && legs < MORE_LEGS; legs++) await walk.leg(); // on a slow machine
  t.diagnostic(JSON.stringify(Object.fromEntries(walk.count)));
  assert.deepEqual(missing(), []); // a walk on which little happens shows little
});

function createWalk(t, random) {
  const time = takeTime(t);
  const person = 'w-' + randomUUID().slice(0, 13);
  const base = `${page}/phones/${person}`;
  const programs = APP_IDS.map((appId) => createProgram({ base, person, appId, random, time }));
  const faults = createFaults({ bring: (kind) => bring(base, kind), time, random });
  const count = new Map();
  const tally = (name) => count.set(name, (count.get(name) || 0) + 1);

  async function act({ name, program }, trouble) {
    const seen = await program.watch(() => deeds[name](program, random));
    tally(name);
    if (seen.problem) tally(seen.problem.code);
    for (const { status, advice } of seen.sent) if (advice) tally(`${status} ${advice}`);
    return () => checkAction(name, seen, trouble);
  }

  async function strike(names, trouble) {
    const name = random.of(names);
    await faults[name](random.of(programs));
    tally(name);
    trouble.add(name);
  }

  // burst is some actions at once, often with a fault before or among them.
  async function burst() {
    const trouble = new Set();
    if (random.below(4) === 0) await strike(quiet, trouble);
    if (random.below(3) === 0) await strike(any, trouble);
    const plans = Array.from({ length: 1 + random.below(MOST_AT_ONCE) }, () => (
      { name: random.of(usual), program: random.of(programs) }));
    const atOnce = plans.map((plan) => act(plan, trouble));
    if (random.below(4) === 0) {
      trouble.add('meanwhile');
      await strike(any, trouble);
    }
    for (const { name } of plans) trouble.add(name);
    for (const check of await time.settle(Promise.all(atOnce))) check();
    for (const program of programs) {
      checkProgram(program, plans.filter((plan) => plan.program === program).map(({ name }) => name));
      mend(program.network);
    }
  }

  return {
    count,
    async leg() {
      for (let i = 0; i < BURSTS; i++) await burst();
      for (const program of programs) await endWell(program, base, time);
    },
  };
}

// checkProgram looks at a mini-program after a burst of these deeds.
function checkProgram({ device, token }, names) {
  assert.ok(device.seen.loginsMost <= 1, 'two logins at once');
  const loggedOut = names.some((name) => name.startsWith('logout')) && !names.includes('login');
  assert.ok(!(loggedOut && token()), `a token after ${names.join(', ')}`);
}

async function bring(base, kind) {
  const res = await fetch(`${base}/faults/${kind}`, { method: 'POST' });
  assert.equal(res.status, 204);
}

// endWell logs in and sees that the server knows the token that is kept.
async function endWell({ client, token }, base, time) {
  const { userInfo } = await time.settle(untilWell(client, time));
  const res = await fetch(`${base}/server/userInfo`, { headers: { Authorization: `Bearer ${token()}` } });
  assert.equal(res.status, 200);
  assert.deepEqual((await res.json()).userInfo, userInfo);
}

async function untilWell(client, time) {
  let latest;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
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
