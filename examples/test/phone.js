// Phones for the tests: each has a user, a network that a test can break, and the client under test.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { createWx } = require('../phone/wx.js');
const { createActivity } = require('./clock.js');
const { load } = require('./load.js');

const server = process.env.WXLOGIN_SERVER;
const simulator = process.env.WXLOGIN_SIMULATOR;
assert.ok(server && simulator, 'set WXLOGIN_SERVER and WXLOGIN_SIMULATOR to the addresses that the demo prints');

const PICTURE = 'wxfile://tmp_1';

/**
 * takePhone returns a new phone: { user, wx, device, seen, net }. anonymous: WeChat gives it only a placeholder profile. One of its
 * files, PICTURE, is no picture for the server.
 */
function takePhone({ user = 'user-' + randomUUID().slice(0, 8), anonymous = false, ...more } = {}) {
  const net = createNetwork();
  const { wx, device } = createWx({ simulator, user, release: { anonymous }, fetch: net.fetch, ...more });
  const { fileOf } = device;
  const picture = { bytes: new TextEncoder().encode('no picture'), type: 'image/jpeg' };
  device.fileOf = (file) => (file === PICTURE ? picture : fileOf(file));
  return { user, wx, device, seen: device.seen, net };
}

/**
 * createNetwork returns what is between a phone and everything but the simulator. away: every request fails. answer sets what
 * requests of a method and path ("*": all) get instead of the server's answer: these in turn, the last one forever. An answer
 * is [status, body, header]; a body that is not text becomes JSON with the status in it; null is the server's own. Without an
 * answer, https hosts do not exist: what tests talk to is on this machine.
 */
function createNetwork() {
  const answers = new Map();
  const holds = [];
  const { during, isQuiet } = createActivity();

  const net = {
    away: false,
    isQuiet,
    answer(request, ...list) { answers.set(request, list); },
    clear() { answers.clear(); },

    /**
     * whileHeld begins something, and runs act while its request of this path is held back, or the answer to it. It returns
     * begin's promise.
     */
    async whileHeld(what, pathname, begin, act) {
      const held = { what, pathname };
      const free = new Promise((go) => { held.go = go; });
      const came = new Promise((there) => { held.wait = () => { there(); return free; }; });
      holds.push(held);
      const begun = begin();
      await came;
      await act();
      held.go();
      return begun;
    },

    fetch: (url, init = {}) => during(async () => {
      const { origin, pathname, protocol } = new URL(url);
      if (origin === simulator) return whole(await fetch(url, init));
      const index = holds.findIndex((each) => each.pathname === pathname);
      const [held] = index < 0 ? [] : holds.splice(index, 1);
      if (held?.what === 'request') await held.wait();
      const list = answers.get(`${init.method || 'GET'} ${pathname}`) || answers.get('*');
      const answer = list && (list.length > 1 ? list.shift() : list[0]);
      if (net.away || (!answer && protocol === 'https:')) throw new TypeError('fetch failed');
      const res = answer ? made(answer) : await whole(await fetch(url, init));
      if (held?.what === 'answer') await held.wait();
      return res;
    }),
  };
  return net;
}

function made([status, body, header = {}]) {
  const text = typeof body === 'string' ? body : JSON.stringify({ status, ...body });
  return new Response(status === 204 ? null : text, { status, headers: { 'content-type': 'application/json', ...header } });
}

async function whole(res) {
  const body = await res.arrayBuffer();
  return new Response([204, 304].includes(res.status) ? null : body, { status: res.status, headers: res.headers });
}

/**
 * launch starts the client on a phone, as every launch of a mini-program does: it has lost its memory, but not its storage.
 * waits lists the seconds that the client waited, which take no time here.
 */
function launch(phone, changes = {}) {
  const client = load(phone);
  const waits = [];
  client.setup({ server, wait: async (seconds) => { waits.push(seconds); }, ...changes });
  return { ...client, waits };
}

/** watch lists the first argument of every call of wx[name] from now on. */
function watch(wx, name) {
  const calls = [];
  const original = wx[name];
  wx[name] = (...args) => {
    calls.push(args[0]);
    return original(...args);
  };
  return calls;
}

/** answerWith answers the calls of wx[name] with these in turn, the last one forever, and lists the calls' options. */
function answerWith(wx, name, ...answers) {
  const calls = [];
  wx[name] = (options) => {
    calls.push(options);
    options.success(answers.length > 1 ? answers.shift() : answers[0]);
  };
  return calls;
}

module.exports = { server, simulator, PICTURE, takePhone, load, launch, watch, answerWith, whole };
