// What an answer says: whether it is a success, and if not, what helps.

import { Problem } from './problem.js';
import { isText, parsed, recordOf, textOf } from './values.js';

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

/**
 * downloaded stands for the body of a download's answer, which WeChat has written to a file: where that is, or the advice that
 * can be had without it. A phone may give no header either; a 401 is then taken to be about the token.
 * @param {Answer & { filePath?: string, tempFilePath?: string }} res
 */
export function downloaded(res) {
  if (succeeded(res)) return { filePath: res.filePath || res.tempFilePath };
  if (headerOf(res, 'retry-after')) return { action: 'retry' };
  return { action: res.statusCode === 401 && Object.keys(recordOf(res.header)).length === 0 ? 'relogin' : '' };
}

/** @param {Answer} res */
export function problemOf(res) {
  const { code, detail, requestId } = bodyOf(res);
  const action = actionOf(res);
  return new Problem({
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
  const header = recordOf(res.header); // some phones give none for uploads and downloads
  return Object.keys(header).filter((key) => key.toLowerCase() === name).map((key) => String(header[key])).join(', ');
}
