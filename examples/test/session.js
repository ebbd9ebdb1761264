// A session from both sides: what the phone keeps of it, and what the server thinks of its token.

const { server, takePhone, launch } = require('./phone.js');

const KEY = 'wxlogin'; // in storage
const WEEK = 7 * 24 * 3600; // seconds: the server's lifetime of a token without use
const UNKNOWN_TOKEN = 'A'.repeat(43); // well formed, but nobody's

/** kept gives what the client has stored on a phone, if anything. */
function kept({ device }) {
  return device.storage.get(KEY);
}

function tokenOf(phone) {
  return kept(phone).token;
}

/** plant stores what a launch before may have left: a token that is nobody's, unless changes say more. */
function plant({ device }, changes = {}) {
  device.storage.set(KEY, {
    server, token: UNKNOWN_TOKEN, expiresAt: Date.now() + WEEK * 1000, lifetime: WEEK, loggedOut: false, ...changes,
  });
}

/** openPhone gives a phone as takePhone does, with its client, which has logged in, and with the token. */
async function openPhone(options, changes) {
  const phone = takePhone(options);
  const client = launch(phone, changes);
  await client.login();
  phone.seen.requests.length = 0;
  return { ...phone, client, token: tokenOf(phone) };
}

/** works asks the server whether a token stands for a session. */
async function works(token) {
  const { status } = await fetch(server + '/userInfo', { headers: { Authorization: 'Bearer ' + token } });
  if (status !== 200 && status !== 401) throw new Error(`/userInfo answers ${status}`);
  return status === 200;
}

/** end ends a token's session behind the phone's back. */
async function end(token) {
  const { status } = await fetch(server + '/logout', { method: 'POST', headers: { Authorization: 'Bearer ' + token } });
  if (status !== 200) throw new Error(`/logout answers ${status}`);
}

module.exports = { KEY, WEEK, UNKNOWN_TOKEN, kept, tokenOf, plant, openPhone, works, end };
