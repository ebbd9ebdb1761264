// Requests, and what is done about answers of failure.

import { downloaded, isOurs, problemOf } from './answers.js';
import { options } from './options.js';
import { callFor, LONGEST, milliseconds } from './platform.js';
import { Problem } from './problem.js';
import { defined, parsed, textOf } from './values.js';

/**
 * @import { Answer } from './answers.js'
 * @import { Sending } from './platform.js'
 */

/**
 * attempt sends until it is answered with success, trying each remedy once. Without relogin that is not one.
 * @param {() => Promise<Answer>} send
 * @param {(() => void) | null} [relogin]
 * @param {(res: Answer) => boolean} [isSuccess]
 */
export async function attempt(send, relogin = null, isSuccess = isOurs) {
  /** @type {Record<string, boolean>} */
  const tried = {};
  for (;;) {
    const res = await send();
    if (isSuccess(res)) return res.data;
    const problem = problemOf(res);
    const { action, retryAfter } = problem;
    const helps = action === 'relogin' ? relogin : action === 'retry' && retryAfter <= options.maxWait;
    if (!helps || tried[action]) throw problem;
    tried[action] = true;
    if (action === 'retry') await options.wait(retryAfter);
    else if (relogin) relogin();
  }
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** @param {string} path @param {Record<string, string | undefined>} fields @param {string} [token] */
export function post(path, fields, token) {
  return send('request', { url: serverUrl(path), method: 'POST', header: FORM, data: defined(fields) }, token);
}

/**
 * send is wx.request, wx.uploadFile or wx.downloadFile, with the token if there is one.
 * @param {Sending} name
 * @param {Record<string, any>} what
 * @param {string} [token]
 * @returns {Promise<Answer>}
 */
export async function send(name, what, token) {
  const { timeout } = what;
  const isOwn = typeof timeout === 'number' && timeout > 0; // of the caller, in milliseconds
  const bound = isOwn ? Math.min(timeout, LONGEST) : milliseconds(options.requestTimeout);
  const header = Object.assign({}, what.header, token ? { Authorization: 'Bearer ' + token } : {});
  const res = await callFor(bound, name, Object.assign({}, what, { header }));
  const statusCode = Number(res.statusCode); // some phones give a text
  if (!statusCode) throw new Problem({ code: 'network', detail: textOf(res.errMsg) });
  const answer = Object.assign({}, res, { statusCode });
  if (name === 'uploadFile') answer.data = parsed(res.data); // which is a text
  if (name === 'downloadFile') answer.data = downloaded(answer);
  return answer;
}

/** @param {string} path */
export function serverUrl(path) {
  if (!options.server) {
    const problem = new Problem({ code: 'not_set_up', detail: 'wxlogin.setup({ server }) must come first.' });
    throw Object.assign(problem, { message: `wxlogin: ${problem.detail}` }); // for the developer, in the console
  }
  return options.server + path;
}
