// One mini-program of the walk, with a network that fails in every way, and the time, which passes as soon as something waits.

const { AsyncLocalStorage } = require('node:async_hooks');
const { createActivity, createTimers } = require('../clock.js');
const { takePhone, launch, whole } = require('../phone.js');

const MAX_DELAY = 4; // milliseconds
const CALLS = ['login', 'request', 'uploadFile', 'downloadFile', 'getUserInfo'];
const MAX_SENT = 50; // by one action: more is a loop

/**
 * network says what is wrong on the way: away; lose, how many answers get lost; gateway, what a gateway answers instead of the
 * server; silent, how many calls of wx never call back; mute, how many answers come without a callback; speechless, how many
 * calls fail without a message.
 */
const WELL = { away: false, lose: 0, gateway: null, silent: 0, mute: 0, speechless: 0 };

/**
 * takeTime replaces the phone's clock until the test ends. timers are for the clients; settle waits for a promise, and lets time
 * pass for their timers as soon as nothing else is under way: fetch, and what delay and rest have begun.
 */
function takeTime(t) {
  const { now } = Date;
  const { during, isQuiet } = createActivity();
  const timers = createTimers();
  let passed = 0; // seconds
  Date.now = () => now() + passed * 1000;
  t.after(() => { Date.now = now; });

  const time = {
    timers,
    pass(seconds) { passed += seconds; },
    rest: (ms) => during(() => new Promise((resolve) => { setTimeout(resolve, ms); })),
    delay(work, ms) { time.rest(ms).then(work); },
    fetch: (...args) => during(async () => whole(await globalThis.fetch(...args))),

    /** settle returns the promise's result. A promise that nothing under way could end is an error. */
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

/**
 * createMiniProgram returns a mini-program that can be launched again and again. base is the address of the user's phone at the
 * demo's page.
 */
function createMiniProgram({ base, user, appId, random, time }) {
  const storage = new Map();
  const { wx, device } = takePhone({ simulator: base + '/wechat', user, appId, storage, loggedIn: false, fetch: time.fetch });
  const actions = new AsyncLocalStorage();
  const network = { ...WELL, held: [] };
  for (const name of ['request', 'uploadFile', 'downloadFile']) {
    const send = wx[name];
    wx[name] = (options) => {
      const sent = actions.getStore() || []; // there is none at the end of a leg
      time.delay(() => sendOver(network, send, options, sent), random.below(MAX_DELAY + 1));
    };
  }
  for (const name of CALLS) {
    const call = wx[name];
    wx[name] = (options) => callOver(network, time, call, options);
  }

  const miniprogram = {
    device, network, client: undefined, tokenAtStart: undefined, heard: undefined,

    /** start is a launch: what was in memory is gone. heard is the latest change of the session since. */
    start() {
      const changes = { server: base + '/server', wait: async (seconds) => time.pass(seconds) };
      miniprogram.client = launch({ wx, timers: time.timers }, changes);
      Object.assign(miniprogram, { tokenAtStart: miniprogram.token(), heard: undefined });
      miniprogram.client.onChange(({ loggedIn }) => { miniprogram.heard = loggedIn; });
    },

    /**
     * watch runs an action and resolves with what it sent, as {path, status, advice}, and the problem if it failed. A shared
     * login counts for the action that began it.
     */
    async watch(action) {
      const sent = [];
      const problem = await actions.run(sent, async () => action(miniprogram)).then(() => null, (err) => err);
      return { sent, problem };
    },

    /** mend repairs the network. What was held back comes now, too late. */
    mend() {
      for (const release of network.held.splice(0)) release();
      Object.assign(network, WELL);
    },

    token: () => (storage.get('wxlogin') || {}).token,
    clear: () => storage.clear(),
  };
  miniprogram.start();
  return miniprogram;
}

/** takesOne reports whether a call or an answer has this fault, of those that are left. */
function takesOne(network, fault) {
  if (network[fault] === 0) return false;
  network[fault]--;
  return true;
}

function callOver(network, time, call, options) {
  if (takesOne(network, 'silent')) network.held.push(() => options.fail({ errMsg: 'late' }));
  else if (takesOne(network, 'speechless')) time.delay(() => options.fail(), 0);
  else call(options);
}

function sendOver(network, send, options, sent) {
  const lost = () => options.fail({ errMsg: 'request:fail timeout' });
  const path = new URL(options.url).pathname.replace(/.*\/server/, '');
  const answered = (res) => {
    const body = typeof res.data === 'string' ? JSON.parse(res.data) : res.data;
    sent.push({ path, status: res.statusCode, advice: body?.action || '' }); // a download has no body
    if (sent.length > MAX_SENT) throw new Error(`${path} again and again`);
    if (takesOne(network, 'mute')) network.held.push(() => options.success(res));
    else if (takesOne(network, 'lose')) lost();
    else options.success(res);
  };
  if (network.away) lost();
  else if (network.gateway) answered(network.gateway);
  else send({ ...options, success: answered });
}

module.exports = { createMiniProgram, takeTime };
