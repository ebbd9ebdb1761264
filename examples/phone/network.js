// wx.request and wx.uploadFile over HTTP.

const DEFAULT_TIMEOUT = 60000; // milliseconds, as with WeChat

/**
 * send is wx.request: every HTTP status is a success, data is encoded as content-type says (JSON by default), a GET's
 * data goes into the query, and JSON is parsed whatever its content type is.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {{url: string, method?: string, data?: any, header?: object, dataType?: string, timeout?: number}} options
 * @param {AbortController} aborter ends the request, with an Error as its reason
 */
async function send(fetch, { url, method = 'GET', data, header = {}, dataType = 'json', timeout }, aborter) {
  const headers = headersOf(header, { 'content-type': 'application/json' });
  const target = new URL(url);
  let body;
  if (data !== undefined && method.toUpperCase() === 'GET') {
    addToQuery(target, data);
  } else if (data !== undefined) {
    body = encode(data, headers.get('content-type'));
  }
  const { text, ...res } = await exchange(fetch, target, { method, headers, body }, timeout, aborter);
  return { ...res, data: dataType === 'json' ? parse(text) : text };
}

/**
 * upload is wx.uploadFile: one file and further fields as multipart/form-data. data of the answer is always a string.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {{url: string, filePath: string, name: string, header?: object, formData?: object, timeout?: number}} options
 * @param {import('./device.js').TemporaryFile | undefined} file the one at filePath
 * @param {AbortController} aborter ends the request, with an Error as its reason
 */
async function upload(fetch, { url, filePath, name, header = {}, formData = {}, timeout }, file, aborter) {
  if (!file) throw new Error('file not found');
  const headers = headersOf(header);
  headers.delete('content-type'); // fetch sets it, with the boundary between the parts
  const body = new FormData();
  for (const [field, value] of Object.entries(formData)) body.append(field, String(value));
  body.append(name, new Blob([file.bytes], { type: file.type }), filePath.split('/').pop());
  const { text, ...res } = await exchange(fetch, new URL(url), { method: 'POST', headers, body }, timeout, aborter);
  return { ...res, data: text };
}

async function exchange(fetch, target, init, timeout = DEFAULT_TIMEOUT, aborter) {
  const timer = setTimeout(() => aborter.abort(new Error('timeout')), timeout);
  try {
    const res = await fetch(target, { ...init, credentials: 'omit', signal: aborter.signal });
    return {
      statusCode: res.status,
      header: Object.fromEntries(res.headers), // names in lower case
      text: await res.text(),
    };
  } catch (err) {
    throw aborter.signal.aborted ? aborter.signal.reason : err;
  } finally {
    clearTimeout(timer);
  }
}

function headersOf(header, defaults = {}) {
  const headers = new Headers(defaults);
  for (const [name, value] of Object.entries(header)) headers.set(name, value);
  return headers;
}

function encode(data, contentType) {
  if (typeof data === 'string' || data instanceof ArrayBuffer) return data;
  return contentType.startsWith('application/x-www-form-urlencoded') ? formEncode(data) : JSON.stringify(data);
}

function addToQuery(target, data) {
  const more = typeof data === 'string' ? data : formEncode(data);
  if (more) target.search += (target.search ? '&' : '?') + more;
}

// formEncode sends a missing value as the text "undefined", as WeChat does.
function formEncode(data) {
  return Object.entries(data).map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

module.exports = { send, upload };
