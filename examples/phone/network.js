// wx.request, wx.uploadFile and wx.downloadFile over HTTP.

const DEFAULT_TIMEOUT = 60000; // milliseconds, as with WeChat

/**
 * send is wx.request: every HTTP status is a success, data is an object that is encoded as content-type says (JSON by default),
 * and JSON is parsed whatever its content type is. aborter ends the request, with an Error as its reason.
 */
async function send(fetch, { url, method = 'GET', data, header = {}, dataType = 'json', timeout }, aborter) {
  const headers = headersOf({ 'content-type': 'application/json', ...header });
  const body = data && encode(data, headers.get('content-type'));
  const { text, ...res } = await exchange(fetch, url, { method, headers, body }, timeout, aborter);
  return { ...res, data: dataType === 'json' ? parse(text) : text };
}

/** upload is wx.uploadFile: multipart/form-data with formData and one file. data of the answer is always a string. */
async function upload(fetch, { url, filePath, name, formData = {}, header = {}, timeout }, file, aborter) {
  if (!file) throw new Error('file not found');
  const body = new FormData();
  for (const [field, value] of Object.entries(formData)) body.append(field, value);
  body.append(name, new Blob([file.bytes], { type: file.type }), filePath.split('/').pop());
  const { text, ...res } = await exchange(fetch, url, { method: 'POST', headers: headersOf(header), body }, timeout, aborter);
  return { ...res, data: text };
}

/** download is wx.downloadFile, without the file's path: the body of every HTTP status becomes a file. It gives no header. */
async function download(fetch, { url, header = {}, timeout }, aborter) {
  const { statusCode, blob } = await exchange(fetch, url, { headers: headersOf(header) }, timeout, aborter, 'blob');
  return { statusCode, file: { bytes: new Uint8Array(await blob.arrayBuffer()), type: blob.type } };
}

/** exchange sends, and reads the body as a text or a blob. A browser shows its tools no body that is read as a blob. */
async function exchange(fetch, url, init, timeout = DEFAULT_TIMEOUT, aborter, kind = 'text') {
  const timer = setTimeout(() => aborter.abort(new Error('timeout')), timeout);
  try {
    const res = await fetch(new URL(url), { ...init, credentials: 'omit', signal: aborter.signal });
    return {
      statusCode: res.status,
      header: Object.fromEntries(res.headers), // names in lower case
      [kind]: await res[kind](),
    };
  } catch (err) {
    throw aborter.signal.aborted ? aborter.signal.reason : err;
  } finally {
    clearTimeout(timer);
  }
}

function headersOf(header) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(header)) headers.set(name, value);
  return headers;
}

// encode sends a missing value of a form as the text "undefined", as WeChat does.
function encode(data, contentType) {
  if (!contentType.startsWith('application/x-www-form-urlencoded')) return JSON.stringify(data);
  return Object.entries(data).map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

module.exports = { send, upload, download };
