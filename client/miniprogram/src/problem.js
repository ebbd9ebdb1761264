// What every promise of the client rejects with.

import { recordOf } from './values.js';

/**
 * CallCode is what a failed call of the platform means. aborted: the request. file_gone: choose the picture again. network: no
 * answer. not_permitted: WeChat does not let this mini-program; its domains, privacy guide or permissions, in the admin
 * console. refused: by the user. unsupported: WeChat is too old.
 * @typedef {'aborted' | 'file_gone' | 'network' | 'not_permitted' | 'phone_quota' | 'refused' | 'unsupported'} CallCode
 */

/**
 * Code is the server's, or one of these. unknown: an answer that is not the server's.
 * @typedef {CallCode | 'foreign_url' | 'logged_out' | 'not_set_up' | 'nothing_to_save' | 'unknown' | (string & {})} Code
 * @typedef {{ status: number, code: Code, action: string, detail: string, requestId: string, retryAfter: number }} ProblemFields
 */

const NAME = 'WxloginProblem';

export class Problem extends Error {
  /** @param {Partial<ProblemFields>} [fields] */
  constructor({ status = 0, code = 'unknown', action = 'none', detail = '', requestId = '', retryAfter = 0 } = {}) {
    super(`wxlogin: ${code}`);
    this.name = NAME;
    /** the HTTP status; 0 if there was no answer */
    this.status = status;
    /** @type {Code} */
    this.code = code;
    /** what helps, as the answer says: relogin, retry or none */
    this.action = action;
    /** an English sentence for developers */
    this.detail = detail;
    /** to look for in the server's log */
    this.requestId = requestId;
    /** seconds; 0 if waiting does not help */
    this.retryAfter = retryAfter;
  }
}

/**
 * isProblem reports whether a promise of the client has rejected with this. Unlike instanceof it also knows those of a second
 * copy of the client, and those of a class that was transpiled to ES5.
 * @param {unknown} value
 * @returns {value is Problem}
 */
export function isProblem(value) {
  return recordOf(value).name === NAME;
}

export function loggedOut() {
  return new Problem({ code: 'logged_out', detail: 'The user has logged out; call login().' });
}
