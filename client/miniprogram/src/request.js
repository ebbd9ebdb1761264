// Requests of the mini-program's own, with the token.

import { succeeded } from './answers.js';
import { options } from './options.js';
import { problemWith } from './problem.js';
import { bearer, sendRequest, serverUrl } from './send.js';
import { withToken } from './token.js';
import { isBelow } from './urls.js';
import { recordOf, textOf } from './values.js';

/** @typedef {'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS' | 'TRACE' | 'CONNECT'} Method */

/**
 * request is wx.request with the token. It resolves with the body of an answer of HTTP status 2xx. A url that begins with
 * "/" is the wxlogin server's; others must be below one of setup's services, so that the token goes nowhere else.
 * timeout is in milliseconds, as with wx.request.
 * @param {{ url: string, method?: Method, data?: any, header?: Record<string, string>, timeout?: number }} what
 * @returns {Promise<any>}
 */
export async function request(what) {
  const address = textOf(recordOf(what).url);
  const url = address.startsWith('/') ? serverUrl(address) : address;
  if (![options.server].concat(options.services).some((base) => isBelow(url, base))) {
    throw problemWith({ code: 'foreign_url', detail: 'The url is neither the server nor one of setup\'s services.' });
  }
  return withToken((token) => sendRequest(Object.assign({}, what, {
    url, header: Object.assign({}, what.header, bearer(token)),
  })), succeeded);
}
