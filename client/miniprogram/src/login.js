// Logging in.

import { profileOf } from './profile.js';
import { isProblem, loggedOut } from './problem.js';
import { currentToken, forget, keep, record } from './record.js';
import { attempt, send, serverUrl } from './send.js';
import { newToken, sendWith, shared, underWay, withToken } from './token.js';
import { recordOf, settled } from './values.js';

/** @import { Profile } from './profile.js' */

/**
 * login makes sure that there is a session: with the token that is kept, if it still works, or else by wx.login.
 * Calls made while a login is under way share it. After logout() or deleteAccount() only a login that is not silent begins
 * a new session; a silent one rejects with the code logged_out.
 *
 * fresh: calls wx.login in any case, so that the server gets the present session_key. Use it if wx.checkSession fails, or if
 * WeChat refuses a signature or a service cannot decrypt data, and not at every launch. If it fails, the token that was kept
 * stays.
 * @param {{ silent?: boolean, fresh?: boolean }} [how]
 * @returns {Promise<Profile & { isNewUser: boolean }>}
 */
export function login(how) {
  const { silent, fresh } = recordOf(how);
  const leaving = underWay.logoutEverywhere || underWay.leave || underWay.deletion;
  if (leaving) return settled(leaving).then(() => login({ silent, fresh })); // what was asked for last is what counts
  if (silent && record().loggedOut) return Promise.reject(loggedOut());
  if (!silent && (record().loggedOut || record().deleted)) keep({ loggedOut: false, deleted: undefined });
  return fresh ? renew() : shared('login', resume);
}

async function resume() {
  const token = currentToken();
  if (token) {
    try {
      return knownUser(await attempt(() => sendWith(token, getUser)));
    } catch (err) {
      if (!isProblem(err) || err.action !== 'relogin') throw err;
      forget(token);
    }
    while (underWay.deletion) await settled(underWay.deletion); // it may be why the token was refused
    if (currentToken()) return knownUser(await withToken(getUser)); // a parallel call has logged in meanwhile
  }
  return renew();
}

/** renew logs in, whatever token there is. */
async function renew() {
  const answer = await newToken();
  return Object.assign({ isNewUser: answer.isNewUser === true }, profileOf(answer));
}

/** @param {string} token */
function getUser(token) {
  return send('request', { url: serverUrl('/userInfo') }, token);
}

/** @param {Record<string, any>} answer */
function knownUser(answer) {
  return Object.assign({ isNewUser: false }, profileOf(answer));
}
