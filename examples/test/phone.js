// What the test files share: the demo's addresses, a phone for each test, and servers that answer as told.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { compileFunction } = require('node:vm');
const { createWx } = require('../phone/wx.js');

const server = process.env.WXLOGIN_SERVER;
const simulator = process.env.WXLOGIN_SIMULATOR;
assert.ok(server && simulator, 'set WXLOGIN_SERVER and WXLOGIN_SIMULATOR to the addresses that the demo prints');

const clientFile = path.join(__dirname, '../miniprogram/utils/wxlogin.js');
const runClientFile = compileFunction(readFileSync(clientFile, 'utf8'),
  ['require', 'module', 'exports', 'wx', 'setTimeout', 'clearTimeout'], { filename: clientFile });

function newUser() {
  return 'user-' + randomUUID().slice(0, 8);
}

/**
 * takePhone gives somebody a new phone: { user, wx, device, seen }. anonymous: with a release of today, to which WeChat
 * gives its placeholder in place of the profile.
 */
function takePhone({ user = newUser(), anonymous = false, ...more } = {}) {
  const { wx, device } = createWx({ simulator, user, release: { anonymous }, ...more });
  return { user, wx, device, seen: device.seen };
}

const realTimers = {
  setTimeout: (...args) => globalThis.setTimeout(...args), clearTimeout: (id) => globalThis.clearTimeout(id),
};

/** load gives the client as require does on a phone, before setup. timers: those of createTimers in place of Node's. */
function load({ wx, timers = realTimers }) {
  const module = { exports: {} };
  runClientFile(undefined, module, module.exports, wx, timers.setTimeout, timers.clearTimeout);
  return module.exports;
}

/**
 * launch starts the client on a phone, as every launch of a mini-program does: what the last one had in memory is gone,
 * what it had stored is not. waits lists the seconds that the client waited, which take no time here.
 */
function launch(phone, changes = {}) {
  const client = load(phone);
  const waits = [];
  client.setup({ server, wait: async (seconds) => { waits.push(seconds); }, ...changes });
  return { ...client, waits };
}

/** ask makes a promise of a call of wx. */
function ask(wx, name, options = {}) {
  return new Promise((success, fail) => { wx[name]({ ...options, success, fail }); });
}

/**
 * answering starts a server that gives these answers in turn, the last one for ever, and returns its address. An answer
 * is [status, body, header]; a body that is no text becomes JSON with the status in it.
 */
async function answering(t, ...answers) {
  const stub = http.createServer((req, res) => {
    req.resume();
    const [status, body, header = {}] = answers.length > 1 ? answers.shift() : answers[0];
    res.writeHead(status, { 'content-type': 'application/json', ...header });
    res.end(typeof body === 'string' ? body : JSON.stringify({ status, ...body }));
  });
  await new Promise((listening) => { stub.listen(0, '127.0.0.1', listening); });
  t.after(() => { stub.closeAllConnections(); stub.close(); });
  return `http://127.0.0.1:${stub.address().port}`;
}

module.exports = { server, simulator, newUser, takePhone, load, launch, ask, answering };
