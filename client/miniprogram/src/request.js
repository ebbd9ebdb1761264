// Requests, uploads and downloads of the mini-program's own, with the token.

import { succeeded } from './answers.js';
import { options } from './options.js';
import { Problem } from './problem.js';
import { send, serverUrl } from './send.js';
import { withToken } from './token.js';
import { isBelow } from './urls.js';
import { recordOf, textOf } from './values.js';

/** @import { Sending } from './platform.js' */

/** @typedef {'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS' | 'TRACE' | 'CONNECT'} Method */

/**
 * request is wx.request with the token. It resolves with the body of an answer of HTTP status 2xx. A url that begins with
 * "/" is the wxlogin server's; others must be below one of setup's services, so that the token goes nowhere else.
 * timeout is in milliseconds, and other options are handed on, as with wx.request.
 * @template [T=any]
 * @param {{ url: string, method?: Method, data?: any, header?: Record<string, string>, timeout?: number,
 *   [option: string]: any }} what
 * @returns {Promise<T>}
 */
export function request(what) {
  return sendOwn('request', what);
}

/**
 * uploadFile is wx.uploadFile with the token, under the rules of request(). It resolves with the body, parsed if it is JSON.
 * @template [T=any]
 * @param {{ url: string, filePath: string, name: string, formData?: Record<string, any>, header?: Record<string, string>,
 *   timeout?: number, [option: string]: any }} what
 * @returns {Promise<T>}
 */
export function uploadFile(what) {
  return sendOwn('uploadFile', what);
}

/**
 * downloadFile is wx.downloadFile with the token, under the rules of request(). It resolves with the file that it was saved to:
 * filePath if it is given, or else a temporary one. The body of an answer of failure is not read: the Problem has its status, and
 * the code unknown; a file at filePath is not the one that was wanted then.
 * @param {{ url: string, filePath?: string, header?: Record<string, string>, timeout?: number, [option: string]: any }} what
 * @returns {Promise<{ filePath: string }>}
 */
export function downloadFile(what) {
  return sendOwn('downloadFile', what);
}

/** @param {Sending} name @param {Record<string, any>} what */
async function sendOwn(name, what) {
  const address = textOf(recordOf(what).url);
  const url = address.startsWith('/') ? serverUrl(address) : address;
  if (![options.server].concat(options.services).some((base) => isBelow(url, base))) {
    throw new Problem({ code: 'foreign_url', detail: 'The url is neither the server nor one of setup\'s services.' });
  }
  return withToken((token) => send(name, Object.assign({}, what, { url }), token), succeeded);
}
