// A small service: the notes of each user, in memory.
//
//   PORT=3000 node service.js behind-gateway
//   PORT=3000 WXLOGIN_INTERNAL=http://127.0.0.1:9090 INTERNAL_API_KEY=… node service.js on-its-own
//
// Behind a gateway that asks wxlogin, it trusts the gateway's headers, so nothing else may reach it. On its own it asks wxlogin.

const http = require('node:http');
const { Problem, createIntrospection } = require('./introspect.js');

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
 * @param {(req: http.IncomingMessage) => Promise<User> | User} identify throws a Problem if the request is refused
 * @param {(line: object) => void} [log] gets a line for each request
 */
function createService(identify, log = () => {}) {
  /** @type {Map<string, string[]>} by userId */
  const notes = new Map();

  async function answer(req) {
    const user = await identify(req); // first: for an unknown user nothing is done, and no body read
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
    // reported below
  }
  throw new Problem(400, 'invalid_request', 'The body is JSON with the field text.');
}

/** sendProblem sends a Problem; any other error is only logged. */
function sendProblem(req, res, err) {
  const known = err instanceof Problem;
  if (!known) console.error(err);
  const { status, code, detail, action, retryAfter } = known ? err : new Problem(500, 'internal', 'The service failed.');
  if (!req.complete) res.setHeader('Connection', 'close'); // the rest of the body is not read
  if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
  if (retryAfter) res.setHeader('Retry-After', retryAfter);
  res.writeHead(status, { 'Content-Type': 'application/problem+json; charset=utf-8', 'Cache-Control': 'no-store' });
  const requestId = req.headers['x-request-id'] || '';
  res.end(JSON.stringify({ type: 'about:blank', title: code, status, detail, code, action, requestId }));
}

/** fromGateway refuses a request that did not come through the gateway. A login would not help, so the client is not asked for one. */
function fromGateway({ headers }) {
  const userId = headers['x-user-id'] || '';
  if (!/^\d{1,20}$/.test(userId)) throw new Problem(403, 'no_gateway', 'The request did not come through the gateway.');
  return {
    userId,
    openid: headers['x-wechat-openid'] || '',
    appid: headers['x-wechat-appid'] || '',
    unionid: headers['x-wechat-unionid'] || '',
  };
}

const ways = {
  'behind-gateway': () => fromGateway,
  'on-its-own': () => createIntrospection({
    url: process.env.WXLOGIN_INTERNAL || 'http://127.0.0.1:9090', key: process.env.INTERNAL_API_KEY,
  }),
};
const way = ways[process.argv[2]];
if (!way) {
  console.error(`usage: node service.js ${Object.keys(ways).join('|')}`);
  process.exit(2);
}
const server = createService(way(), (line) => console.log(JSON.stringify(line)));
server.listen(Number(process.env.PORT || 3000), '127.0.0.1', () => { // loopback: only what is on this machine may reach it
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
