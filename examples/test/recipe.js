// Runs a recipe of docs/clients.md on a phone, with a service that takes a token if the demo's server does.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { compileFunction } = require('node:vm');
const { server, PICTURE, takePhone, launch } = require('./phone.js');
const { enter, works } = require('./session.js');

const API = 'https://api.example.com';
const IMPORT = /^import (\w+|\{[^}]*\}) from '([^']*)';$/gm;
const EXPORT = /^export const (\w+)/gm;

/** runRecipe runs a recipe on a phone, and returns what it exports. */
function runRecipe(file, { client, wx }, { uni, Request, timers = globalThis, App, Page } = {}) {
  const code = readFileSync(path.join(__dirname, 'recipes', file), 'utf8').replace('https://login.example.com', server)
    .replace(IMPORT, "const $1 = require('$2');").replace(EXPORT, 'const $1 = exports.$1');
  const module = { exports: {} };
  const given = {
    require: (name) => (name === 'luch-request' ? Request : client), module, exports: module.exports, wx, uni, App, Page,
    setTimeout: timers.setTimeout, clearTimeout: timers.clearTimeout,
  };
  compileFunction(code, Object.keys(given), { filename: file })(...Object.values(given));
  return module.exports;
}

/**
 * newPhone returns a phone with its client and a service, which stands for other hosts too. service.calls lists what was called: the
 * function of wx, the URL, the token. service.refuses: it takes no token at all.
 */
function newPhone(options) {
  const phone = { ...takePhone(options), service: { refuses: false, calls: [] } };
  const { service, wx } = phone;
  for (const name of ['request', 'uploadFile', 'downloadFile']) {
    const original = wx[name];
    wx[name] = (what) => (what.url.startsWith(server) ? original(what) : void serve(service, name, what));
  }
  phone.client = launch(phone, { services: [API] });
  return phone;
}

async function openPhone(options) {
  const phone = newPhone(options);
  await enter(phone);
  return phone;
}

async function serve({ calls, refuses }, name, { url, header = {}, success, complete = () => {} }) {
  const token = (header.Authorization || '').replace('Bearer ', '');
  calls.push([name, url, token]);
  const isKnown = !refuses && token !== '' && await works(token);
  const body = { url: url + '/7', items: ['tea'] };
  const res = isKnown ? { statusCode: 200, data: name === 'uploadFile' ? JSON.stringify(body) : body, tempFilePath: PICTURE }
    : { statusCode: 401, data: {}, header: { 'WWW-Authenticate': 'Bearer' } };
  if (success) success(res);
  complete(res);
}

module.exports = { API, runRecipe, newPhone, openPhone };
