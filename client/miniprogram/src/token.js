// The token: how the client gets one, and sends with it.

import { actionOf, isOurs, succeeded } from './answers.js';
import { options } from './options.js';
import { callFor, milliseconds, platform } from './platform.js';
import { Problem, isProblem, loggedOut } from './problem.js';
import { TOKEN, currentToken, forget, keep, record, used } from './record.js';
import { attempt, post } from './send.js';
import { isText, recordOf, settled } from './values.js';

/** @import { Answer } from './answers.js' */

const UNKNOWN_LIFETIME = 60 * 60; // seconds: of a token whose answer does not say how long it is valid

/** @type {Record<'login' | 'exchange' | 'leave' | 'logout' | 'logoutEverywhere' | 'deletion', Promise<any> | null>} */
export const underWay = { login: null, exchange: null, leave: null, logout: null, logoutEverywhere: null, deletion: null };

/** @type {{ problem: Problem, server: string, since: number } | null} */
let refusal = null; // of the latest login, with a time to wait

/**
 * shared allows one of a kind under way at a time: a call that comes meanwhile gets the same promise.
 * @param {keyof typeof underWay} kind
 * @param {() => Promise<any>} begin
 * @returns {Promise<any>}
 */
export function shared(kind, begin) {
  const running = underWay[kind];
  if (running) return running;
  const begun = begin();
  const over = () => { underWay[kind] = null; };
  underWay[kind] = begun;
  begun.then(over, over);
  return begun;
}

/**
 * newToken exchanges a code of wx.login for a token: never two at once, because each replaces the other's session_key. It
 * makes no new account of one that the user has deleted, even if the answer to that was lost.
 */
export async function newToken() {
  if (record().deleted) keep({ token: '', expiresAt: 0, loggedOut: true });
  if (record().loggedOut) throw loggedOut();
  return shared('exchange', exchange);
}

export async function exchange() {
  const { server } = options;
  const answer = await beginSession();
  const { token, expiresIn } = answer;
  const lifetime = expiresIn > 0 && expiresIn < Infinity ? Number(expiresIn) : UNKNOWN_LIFETIME;
  keep({ server, token, lifetime, expiresAt: Date.now() + lifetime * 1000 });
  return answer;
}

export async function beginSession() {
  throwIfTooEarly();
  try {
    // A code works once: every attempt takes a new one, so that "relogin" needs nothing more.
    return await attempt(sendCode, () => {}, hasToken);
  } catch (err) {
    if (isProblem(err) && err.action === 'retry') refusal = { problem: err, server: options.server, since: Date.now() };
    throw err;
  }
}

async function sendCode() {
  const { code } = await callFor(milliseconds(options.loginTimeout), 'login', {});
  if (!code) throw new Problem({ code: 'unknown', detail: 'wx.login gave no code.' });
  return post('/onLogin', { code, appid: appId() });
}

/** @param {Answer} res */
function hasToken(res) {
  return isOurs(res) && isText(res.data.token) && res.data.token !== '' && TOKEN.test(res.data.token);
}

/** throwIfTooEarly keeps a page full of requests from hammering a server that has said when to come again. */
function throwIfTooEarly() {
  if (!refusal) return;
  const { problem, server, since } = refusal;
  const passed = (Date.now() - since) / 1000;
  if (server !== options.server || passed < 0 || passed >= problem.retryAfter) { // the clock was set back, or it is time
    refusal = null;
    return;
  }
  throw new Problem(Object.assign({}, problem, { retryAfter: Math.ceil(problem.retryAfter - passed) }));
}

/** appId is the mini-program's own, for a server that has several; undefined if the phone does not know it. */
function appId() {
  try {
    return platform().getAccountInfoSync().miniProgram.appId || undefined;
  } catch (err) {
    return undefined;
  }
}

/**
 * token gives the token, and logs in first if there is none: for what does not go through request(), such as a socket. refused:
 * the token that a service has refused; if it is still the current one, it is forgotten, and another one is fetched. After a
 * logout it rejects with the code logged_out.
 * @param {{ refused?: string }} [how]
 * @returns {Promise<string>}
 */
export async function token(how) {
  forget(recordOf(how).refused);
  return goodToken();
}

async function goodToken() {
  while (!currentToken() && underWay.deletion) await settled(underWay.deletion);
  if (record().loggedOut) throw loggedOut();
  const current = currentToken();
  if (!current && underWay.leave) throw loggedOut(); // a login now would begin a session after the logout
  return current || (await newToken()).token;
}

/**
 * withToken sends with the token. It logs in first if there is none, and once more if it is refused.
 * @param {(token: string) => Promise<Answer>} send
 * @param {(res: Answer) => boolean} [isSuccess]
 */
export function withToken(send, isSuccess) {
  let token = '';
  return attempt(async () => {
    token = await goodToken();
    const res = await sendWith(token, send);
    const isRefused = res.statusCode === 401 && actionOf(res) === 'relogin';
    while (isRefused && underWay.deletion) await settled(underWay.deletion);
    if (isRefused && record().loggedOut) throw loggedOut(); // by a logout or a deletion that was faster
    return res;
  }, () => forget(token), isSuccess);
}

/** @param {string} token @param {(token: string) => Promise<Answer>} send */
export async function sendWith(token, send) {
  const res = await send(token);
  if (succeeded(res)) used(token);
  return res;
}
