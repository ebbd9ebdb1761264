// Requests, and what is done about answers of failure.

import { isOurs, problemOf } from './answers.js';
import { options } from './options.js';
import { callFor, LONGEST, milliseconds } from './platform.js';
import { problemWith } from './problem.js';
import { defined, parsed, textOf } from './values.js';

/** @import { Answer } from './answers.js' */

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
  const header = Object.assign({}, FORM, token ? bearer(token) : {});
  return sendRequest({ url: serverUrl(path), method: 'POST', header, data: defined(fields) });
}

/** @param {Record<string, any>} what */
export async function sendRequest(what) {
  const { timeout } = what;
  const isOwn = typeof timeout === 'number' && timeout > 0; // of the caller, in milliseconds
  const bound = isOwn ? Math.min(timeout, LONGEST) : milliseconds(options.requestTimeout);
  return answered(await callFor(bound, 'request', what));
}

/** @param {string} path @param {string} filePath @param {string} token */
export async function upload(path, filePath, token) {
  const what = { url: serverUrl(path), filePath, name: 'file', header: bearer(token) };
  const res = answered(await callFor(milliseconds(options.requestTimeout), 'uploadFile', what));
  return Object.assign({}, res, { data: parsed(res.data) }); // wx.uploadFile leaves it a string
}

/** @param {any} res what wx.request or wx.uploadFile gave to success @returns {Answer} */
function answered(res) {
  const statusCode = Number(res.statusCode); // some phones give a text
  if (!statusCode) throw problemWith({ code: 'network', detail: textOf(res.errMsg) });
  return Object.assign({}, res, { statusCode });
}

/** @param {string} path */
export function serverUrl(path) {
  if (!options.server) {
    const problem = problemWith({ code: 'not_set_up', detail: 'wxlogin.setup({ server }) must come first.' });
    throw Object.assign(problem, { message: `wxlogin: ${problem.detail}` }); // for the developer, in the console
  }
  return options.server + path;
}

/** @param {string} token */
export function bearer(token) {
  return { Authorization: 'Bearer ' + token };
}
