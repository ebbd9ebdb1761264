// One mini-program of the walk: its phone with a network that is never the same, its client, and what each action sent.

const { AsyncLocalStorage } = require('node:async_hooks');
const { takePhone, launch } = require('../phone.js');

const MOST_DELAY = 4; // milliseconds
const CALLS = ['login', 'request', 'uploadFile', 'getUserInfo'];
const MOST_SENT = 50; // by one action: more is a loop

/**
 * @typedef {{ path: string, status: number, advice: string }} Sent advice is the answer's action
 */

/**
 * createProgram returns a mini-program of a person that can be launched again and again. network says what is wrong on the
 * way: away; lose, how many answers get lost; gateway, what a gateway answers instead of the server; silent, how many
 * calls of wx never call back; mute, how many answers come without a callback; speechless, how many calls fail without a
 * word. Of each action, watch gives what it sent, shared logins counting for the one that began them.
 *
 * @param {object} given
 * @param {string} given.base of the person's phone at the demo's page
 * @param {string} given.person
 * @param {string} given.appId
 * @param {ReturnType<typeof import('../random.js').createRandom>} given.random
 * @param {ReturnType<typeof import('./time.js').takeTime>} given.time
 */
function createProgram({ base, person, appId, random, time }) {
  const storage = new Map();
  const { wx, device } = takePhone({
    simulator: base + '/wechat', user: person, appId, storage, loggedIn: false, fetch: time.fetch,
  });
  const actions = new AsyncLocalStorage();
  const network = { ...WELL, held: [] };
  for (const name of ['request', 'uploadFile']) {
    const send = wx[name];
    wx[name] = (options) => {
      const sent = actions.getStore() || []; // nobody watches what ends a leg
      time.delay(() => sendOver(network, send, options, sent), random.below(MOST_DELAY + 1));
    };
  }
  for (const name of CALLS) {
    const call = wx[name];
    wx[name] = (options) => callOver(network, time, call, options);
  }

  const program = {
    appId, device, network,
    client: undefined,

    /** start is a launch: what was in memory is gone. */
    start() {
      const changes = { server: base + '/server', wait: async (seconds) => time.pass(seconds) };
      program.client = launch({ wx, timers: time.timers }, changes);
    },

    /** watch runs an action and resolves with what it sent and, where it failed, its problem. */
    async watch(action) {
      /** @type {Sent[]} */
      const sent = [];
      const problem = await actions.run(sent, async () => action(program)).then(() => null, (err) => err);
      return { sent, problem };
    },

    token: () => (storage.get('wxlogin') || {}).token,
    clear: () => storage.clear(),
  };
  program.start();
  return program;
}

/** callOver calls wx, unless WeChat does not call back, or fails without a word. */
function callOver(network, time, call, options) {
  if (network.silent > 0) {
    network.silent--;
    network.held.push(() => options.fail({ errMsg: 'late' }));
    return undefined;
  }
  if (network.speechless > 0) {
    network.speechless--;
    return time.delay(() => options.fail(), 0);
  }
  return call(options);
}

function sendOver(network, send, options, sent) {
  const lost = () => options.fail({ errMsg: 'request:fail timeout' });
  const path = new URL(options.url).pathname.replace(/.*\/server/, '');
  const answered = (res) => {
    const body = typeof res.data === 'string' ? JSON.parse(res.data) : res.data;
    sent.push({ path, status: res.statusCode, advice: body.action || '' });
    if (sent.length > MOST_SENT) throw new Error(`${path} again and again`);
    if (network.mute > 0) {
      network.mute--;
      return network.held.push(() => options.success(res));
    }
    if (network.lose === 0) return options.success(res);
    network.lose--;
    return lost();
  };
  if (network.away) lost();
  else if (network.gateway) answered(network.gateway);
  else send({ ...options, success: answered });
}

const WELL = { away: false, lose: 0, gateway: null, silent: 0, mute: 0, speechless: 0 };

/** mend puts the network right. What was held back comes now, too late. */
function mend(network) {
  for (const release of network.held.splice(0)) release();
  Object.assign(network, WELL);
}

module.exports = { createProgram, mend };
