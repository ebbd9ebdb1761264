// Logging out, and deleting the account.

import { bodyOf } from './answers.js';
import { currentToken, forget, keep, record } from './record.js';
import { options } from './options.js';
import { loggedOut } from './problem.js';
import { attempt, post } from './send.js';
import { beginSession, exchange, shared, underWay } from './token.js';
import { recordOf, settled } from './values.js';

/**
 * logout ends the session, and until the next login() nothing logs in by itself, in later launches too. everywhere: all
 * sessions of the user in this mini-program, on other phones as well; if the token has ended, it logs in for that. The
 * token is forgotten even if the server cannot be reached; the promise rejects then, and the session ends by itself.
 * @param {{ everywhere?: boolean }} [how]
 * @returns {Promise<void>}
 */
export function logout(how) {
  return recordOf(how).everywhere ? shared('logoutEverywhere', leaveEverywhere) : shared('logout', leaveHere);
}

async function leaveHere() {
  const token = await shared('leave', leave);
  if (token) await attempt(() => post('/logout', {}, token));
}

async function leaveEverywhere() {
  let token = await shared('leave', leave);
  const { deleted } = record(); // no session is left then, and a login would make a new account
  if (deleted && !token) return;
  await attempt(async () => {
    token = token || (await beginSession()).token; // the server must know whose sessions should end
    return post('/logout', { everywhere: 'true' }, token);
  }, deleted ? null : () => { token = ''; });
}

/** leave logs the phone out, and returns the token that it had. */
async function leave() {
  const before = () => underWay.deletion || underWay.login || underWay.exchange;
  while (before()) await settled(before());
  const { token } = record();
  keep({ token: '', expiresAt: 0, loggedOut: true }); // before the request: what is refused from then on must not log in again
  return token;
}

/**
 * deleteAccount erases the user on the server: profile, phone number and all sessions, in all of the server's mini-programs
 * that know the person as the same. Ask the user once more before. The server wants a new login for it, which shows no
 * dialog. Afterwards the phone is logged out, as after logout(); the next login() makes a new account. If the promise
 * rejects, the user stays logged in; with a status of 0 or 5xx it may be done all the same, and should be called again.
 * @returns {Promise<void>}
 */
export function deleteAccount() {
  return shared('deletion', erase);
}

async function erase() {
  const { server } = options;
  let token = '';
  await attempt(async () => {
    while (underWay.exchange) await settled(underWay.exchange); // it must not make a new account after the deletion
    if (record().loggedOut) throw loggedOut();
    // If the account is gone already, this login makes a new one, which goes with the repeat: nothing is left.
    token = currentToken() || (await shared('exchange', exchange)).token;
    const { deleted } = record(); // by an earlier call whose answer got lost
    keep({ deleted: true }); // before the request: its answer may get lost too
    const res = await post('/deleteAccount', { confirm: 'delete' }, token);
    const isTokenBad = res.statusCode === 401 && bodyOf(res).code !== 'stale_session'; // which says nothing of the account
    if (res.statusCode >= 400 && res.statusCode < 500) keep({ deleted: isTokenBad ? deleted : undefined });
    return res;
  }, () => forget(token));
  keep({ server, token: '', expiresAt: 0, loggedOut: true, deleted: true });
}
