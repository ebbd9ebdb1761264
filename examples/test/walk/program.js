// One mini-program of the walk: its phone with a network that is never the same, its client, and what each action sent.

const { AsyncLocalStorage } = require('node:async_hooks');
const { takePhone, launch } = require('../phone.js');

const MOST_DELAY = 4; // milliseconds
const MOST_SENT = 50; // by one action: more is a loop

/**
 * @typedef {{ path: string, status: number, advice: string }} Sent advice is the answer's action
 */

/**
 * createProgram returns a mini-program of a person that can be launched again and again. network says what is wrong on the
 * way: away; lose, how many answers get lost; gateway, what a gateway answers in the place of the server. Of each action,
 * watch gives what it sent, shared logins counting for the one that began them.
 *
 * @param {object} given
 * @param {string} given.base of the person's phone at the demo's page
 * @param {string} given.person
 * @param {string} given.appId
 * @param {ReturnType<typeof import('../random.js').createRandom>} given.random
 * @param {{ pass(seconds: number): void }} given.clock
 */
function createProgram({ base, person, appId, random, clock }) {
  const storage = new Map();
  const { wx, device } = takePhone({ simulator: base + '/wechat', user: person, appId, storage, loggedIn: false });
  const actions = new AsyncLocalStorage();
  const network = { away: false, lose: 0, gateway: null };
  for (const name of ['request', 'uploadFile']) {
    const send = wx[name];
    wx[name] = (options) => {
      const sent = actions.getStore() || []; // nobody watches what ends a leg
      setTimeout(() => sendOver(network, send, options, sent), random.below(MOST_DELAY + 1));
    };
  }

  const program = {
    appId, device, network,
    client: undefined,

    /** start is a launch: what was in memory is gone. */
    start() {
      program.client = launch({ wx }, { server: base + '/server', wait: async (seconds) => clock.pass(seconds) });
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

function sendOver(network, send, options, sent) {
  const lost = () => options.fail({ errMsg: 'request:fail timeout' });
  const path = new URL(options.url).pathname.replace(/.*\/server/, '');
  const answered = (res) => {
    const body = typeof res.data === 'string' ? JSON.parse(res.data) : res.data;
    sent.push({ path, status: res.statusCode, advice: body.action || '' });
    if (sent.length > MOST_SENT) throw new Error(`${path} again and again`);
    if (network.lose === 0) return options.success(res);
    network.lose--;
    return lost();
  };
  if (network.away) lost();
  else if (network.gateway) answered(network.gateway);
  else send({ ...options, success: answered });
}

/** mend puts the network right. */
function mend(network) {
  Object.assign(network, { away: false, lose: 0, gateway: null });
}

module.exports = { createProgram, mend };
