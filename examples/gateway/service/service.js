// A small service: the notes of each user, in memory. It does not know what a token is; identify tells it who asks.

const http = require('node:http');
const { Problem, sendProblem } = require('./problem.js');

const MOST_NOTES = 100; // of a user
const MOST_USERS = 10000;
const MOST_BYTES = 16 * 1024; // of a body

/**
 * @typedef {{ userId: string, openid: string, appid: string, unionid: string }} User unionid is '' where it is not known.
 *   userId is the one to store: the same for one person in several mini-programs
 */

/**
 * createService returns a server that is not listening yet.
 *
 * @param {(req: http.IncomingMessage) => Promise<User> | User} identify throws a Problem for whom the service is not
 * @param {(line: object) => void} [log] gets a line for each request
 */
function createService(identify, log = () => {}) {
  /** @type {Map<string, string[]>} by userId */
  const notes = new Map();

  async function answer(req) {
    const user = await identify(req); // first of all: nothing is done, and no body read, for somebody unknown
    const route = `${req.method} ${new URL(req.url, 'http://service').pathname}`;
    if (route === 'GET /me') return user;
    if (route === 'GET /notes') return { notes: notes.get(user.userId) || [] };
    if (route === 'POST /notes') return { notes: add(user, await readNote(req)) };
    throw new Problem(404, 'not_found', 'There is nothing at this path.');
  }

  function add({ userId }, note) {
    const known = notes.get(userId) || [];
    if (known.length >= MOST_NOTES || (!known.length && notes.size >= MOST_USERS)) {
      throw new Problem(409, 'full', 'There is no room for more notes.');
    }
    notes.set(userId, [...known, note]);
    return notes.get(userId);
  }

  return http.createServer(async (req, res) => {
    try {
      const body = await answer(req);
      res.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
      res.end(JSON.stringify({ status: 200, ...body }));
    } catch (err) {
      sendProblem(req, res, err);
    }
    log({ method: req.method, status: res.statusCode, requestId: req.headers['x-request-id'] });
  });
}

async function readNote(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > MOST_BYTES) throw new Problem(413, 'request_too_large', 'The body is too large.');
    chunks.push(chunk);
  }
  try {
    const { text } = JSON.parse(Buffer.concat(chunks).toString());
    if (typeof text === 'string' && text) return text;
  } catch {
    // told below
  }
  throw new Problem(400, 'invalid_request', 'The body is JSON with the field text.');
}

/** listen serves on loopback alone: whoever reaches a service that trusts headers can be anybody. */
function listen(server, port) {
  server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
}

module.exports = { createService, listen };
