// What an answer says: whether it is a success, and if not, what helps.

import { problemWith } from './problem.js';
import { isText, parsed, recordOf, textOf } from './values.js';

/** @import { Problem } from './problem.js' */

/** @typedef {{ statusCode: number, data: any, header?: Record<string, any> }} Answer */

/** @param {Answer} res */
export function succeeded(res) {
  return res.statusCode >= 200 && res.statusCode < 300;
}

/**
 * isOurs reports whether an answer is the server's, and not that of something in between, such as a hotel's page with
 * status 200.
 * @param {Answer} res
 */
export function isOurs(res) {
  return succeeded(res) && recordOf(res.data).status === res.statusCode;
}

/** @param {Answer} res */
export function problemOf(res) {
  const { code, detail, requestId } = bodyOf(res);
  const action = actionOf(res);
  return problemWith({
    status: res.statusCode, code: textOf(code) || 'unknown', action, detail: textOf(detail), requestId: textOf(requestId),
    retryAfter: action === 'retry' ? secondsToWait(res) : 0,
  });
}

/**
 * bodyOf is the body's fields, none if it is no object, such as a proxy's error page. A service's answers may use the
 * names of a problem for something else: what is read of them must have the right type.
 * @param {Answer} res
 */
export function bodyOf({ data }) {
  return recordOf(isText(data) ? parsed(data) : data); // a text: request() may have been told dataType
}

/**
 * actionOf is what an answer of failure advises. The body's advice counts. A 401 without it is about the token only if it
 * says so by WWW-Authenticate: Bearer, as gateways do; a service may answer 401 to a wrong password too.
 * @param {Answer} res
 */
export function actionOf(res) {
  const action = textOf(bodyOf(res).action);
  if (['relogin', 'retry', 'none'].includes(action)) return action;
  return res.statusCode === 401 && wantsBearer(headerOf(res, 'www-authenticate')) ? 'relogin' : action || 'none';
}

/**
 * wantsBearer reports whether one of the challenges is Bearer (RFC 9110, section 11.6.1). What is quoted, and a parameter
 * of that name, is none.
 * @param {string} challenges
 */
function wantsBearer(challenges) {
  const unquoted = challenges.replace(/"(?:[^"\\]|\\.)*(?:"|$)/g, '""');
  return /(^|,)\s*bearer(\s*($|,)|\s+[^\s=,])/i.test(unquoted);
}

/**
 * secondsToWait reads Retry-After: seconds, or a date (RFC 9110, section 10.2.3). Without one that can be read: 1.
 * @param {Answer} res
 */
function secondsToWait(res) {
  const value = headerOf(res, 'retry-after');
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return seconds > 0 ? seconds : 1;
}

/**
 * headerOf is an answer's header of this name, '' if there is none. Phones differ in the case, and some give a list.
 * @param {Answer} res
 * @param {string} name in lower case
 */
function headerOf(res, name) {
  const header = recordOf(res.header); // some phones give none for wx.uploadFile
  return Object.keys(header).filter((key) => key.toLowerCase() === name).map((key) => String(header[key])).join(', ');
}
