// What the test files share: a phone for each test, and servers that answer as told.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const http = require('node:http');
const { createWx } = require('./wx.js');

const server = process.env.WXLOGIN_SERVER;
const simulator = process.env.WXLOGIN_SIMULATOR;
assert.ok(server && simulator, 'set WXLOGIN_SERVER and WXLOGIN_SIMULATOR to the addresses that the demo prints');

function newUser() {
  return 'user-' + randomUUID().slice(0, 8);
}

// usePhone makes the global wx a fresh phone of the user.
function usePhone(user = newUser(), release = {}) {
  globalThis.wx = createWx({ simulator, user, ...release });
  return globalThis.wx;
}

// phoneGives is what a call of wx gives, as a promise.
function phoneGives(name) {
  return new Promise((success, fail) => wx[name]({ desc: 'test', success, fail }));
}

// answering starts a server that gives these answers in turn, the last one for ever, and returns its address.
async function answering(t, ...answers) {
  const stub = http.createServer((req, res) => {
    req.resume();
    const [status, body, header = {}] = answers.length > 1 ? answers.shift() : answers[0];
    res.writeHead(status, { 'content-type': 'application/json', ...header });
    res.end(typeof body === 'string' ? body : JSON.stringify({ status, ...body }));
  });
  await new Promise((listening) => stub.listen(0, '127.0.0.1', listening));
  t.after(() => { stub.closeAllConnections(); stub.close(); });
  return `http://127.0.0.1:${stub.address().port}`;
}

module.exports = { server, newUser, usePhone, phoneGives, answering };
