// Asks wxlogin whose token a request has (POST /introspect, RFC 7662), for services without a gateway. You may copy it.

const http = require('node:http');
const https = require('node:https');
const { createHash } = require('node:crypto');

const TOKEN = /^[A-Za-z0-9_-]{43}$/; // what wxlogin's tokens look like: nothing else is worth a question

/** Problem is a refusal in wxlogin's form, so that clients know what helps: action is relogin, retry (after retryAfter seconds) or none. */
class Problem extends Error {
  constructor(status, code, detail, { action = 'none', retryAfter = 0 } = {}) {
    super(code);
    Object.assign(this, { status, code, detail, action, retryAfter });
  }
}

/**
 * createIntrospection returns a function that finds the user of a request, and rejects with a Problem if there is none.
 *
 * An answer is kept for some seconds, so that a page of ten requests costs one question: that long a token that was logged
 * out, and a user who was disabled, is still let in. Only what is active is kept: a refusal may have ended by the next login,
 * and made-up tokens would push the real ones out. The number of answers is bounded, or every token of a week would
 * stay. They are found by the token's hash, so that no token lies in this memory for longer than its request.
 *
 * @param {object} options
 * @param {string} options.url wxlogin's internal address, such as http://127.0.0.1:9090
 * @param {string} [options.key] its INTERNAL_API_KEY
 * @param {number} [options.keep] milliseconds that an answer is kept; 0: not at all
 * @param {number} [options.most] answers that are kept
 * @param {number} [options.timeout] milliseconds for a question: above the two seconds that wxlogin waits for its databases
 */
function createIntrospection({ url, key = '', keep = 5000, most = 10000, timeout = 3000 }) {
  const client = url.startsWith('https:') ? https : http;
  // keepAlive: a question is a round trip then. maxSockets: more than that wait here, not at wxlogin.
  const agent = new client.Agent({ keepAlive: true, maxSockets: 32 });
  /** @type {Map<string, { user: import('./service.js').User, until: number }>} the oldest first */
  const kept = new Map();

  async function identify(req) {
    const [, token = ''] = /^bearer +(\S+) *$/i.exec(req.headers.authorization || '') || [];
    if (!TOKEN.test(token)) throw refused();
    const hash = createHash('sha256').update(token).digest('base64');
    return recall(hash) || remember(hash, await ask(token, req.headers['x-request-id']));
  }

  function recall(hash) {
    const entry = kept.get(hash);
    return entry && Date.now() < entry.until ? entry.user : null;
  }

  function remember(hash, { exp, ...user }) {
    kept.delete(hash); // so that it becomes the newest
    kept.set(hash, { user, until: Math.min(Date.now() + keep, exp * 1000) });
    if (kept.size > most) kept.delete(kept.keys().next().value);
    return user;
  }

  async function ask(token, requestId) {
    let answer;
    try {
      answer = await post('/introspect', new URLSearchParams({ token }).toString(), requestId);
    } catch (err) {
      throw unavailable(`no answer: ${err.code || err.message}`);
    }
    const { active, sub, client_id, openid, unionid = '', exp, code = '' } = answer.body || {};
    if (answer.status === 200 && active === false) throw refused();
    if (answer.status !== 200 || active !== true || !sub) throw unavailable(`it answers ${answer.status} ${code}`);
    return { userId: sub, openid, appid: client_id, unionid, exp };
  }

  /** post sends a form, and rejects when the whole answer has not come in time. */
  function post(path, form, requestId = '') {
    return new Promise((resolve, reject) => {
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(form) };
      if (key) headers['X-Api-Key'] = key;
      if (requestId) headers['X-Request-Id'] = requestId;
      const signal = AbortSignal.timeout(timeout);
      const req = client.request(new URL(path, url), { method: 'POST', agent, headers, signal }, (res) => {
        const chunks = [];
        res.on('data', (chunk) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          try {
            resolve({ status: res.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) });
          } catch (err) {
            reject(new Error('not JSON'));
          }
        });
      });
      req.on('error', reject);
      req.end(form);
    });
  }

  return identify;
}

/** refused makes the mini-program's client log in again, once. */
function refused() {
  return new Problem(401, 'invalid_token', 'The token is missing, malformed, unknown, expired or revoked.', {
    action: 'relogin',
  });
}

/** unavailable: the token cannot be checked. The request is refused, and the user is not signed out. */
function unavailable(why) {
  console.error(`wxlogin cannot be asked: ${why}`);
  return new Problem(503, 'storage_unavailable', 'The login server does not answer.', { action: 'retry', retryAfter: 2 });
}

module.exports = { Problem, createIntrospection };
