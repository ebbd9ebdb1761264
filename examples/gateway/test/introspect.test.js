// What introspect.js makes of wxlogin's answers, of those that fail too, and what it keeps.

const assert = require('node:assert/strict');
const http = require('node:http');
const test = require('node:test');
const { stopClock } = require('../../test/clock.js');
const { createIntrospection } = require('../service/introspect.js');

const token = (n) => String(n).padStart(43, 'A');
const asking = (value, more = {}) => ({ headers: { authorization: 'Bearer ' + value, ...more } });
const now = () => Math.floor(Date.now() / 1000); // seconds
const active = (n) => ({
  active: true, sub: String(n), client_id: 'wx1', openid: 'o' + n, exp: now() + 3600, token_type: 'Bearer',
});
const RELOGIN = { status: 401, code: 'invalid_token', action: 'relogin' };
const RETRY = { status: 503, code: 'storage_unavailable', action: 'retry', retryAfter: 2 };

/** startWxlogin answers as told, and lists what it was asked and over how many connections. */
async function startWxlogin(t, answer) {
  const asked = [];
  const sockets = new Set();
  const server = http.createServer(async (req, res) => {
    sockets.add(req.socket);
    let body = '';
    for await (const chunk of req) body += chunk;
    asked.push({ method: req.method, url: req.url, headers: req.headers, token: new URLSearchParams(body).get('token') });
    answer(res, asked.at(-1));
  });
  await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  return { asked, sockets, url: `http://127.0.0.1:${server.address().port}` };
}

const saying = (body, status = 200) => (res) => {
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(body));
};

const answerByToken = (res, { token: asked }) => saying(active(Number(asked.replace(/^A+/, ''))))(res);

test('an active token is its user', async (t) => {
  const wxlogin = await startWxlogin(t, saying({ ...active(7), unionid: 'u7' }));
  const identify = createIntrospection({ url: wxlogin.url, key: 'the key' });
  const user = await identify(asking(token(7), { 'x-request-id': 'from-the-client' }));
  assert.deepEqual(user, { userId: '7', openid: 'o7', appid: 'wx1', unionid: 'u7' });
  const [{ method, url, headers, token: asked }] = wxlogin.asked;
  assert.deepEqual([method, url, asked], ['POST', '/introspect', token(7)]);
  assert.deepEqual([headers['x-api-key'], headers['x-request-id']], ['the key', 'from-the-client']);
  assert.equal(headers.authorization, undefined);
});

test('a token that is not active means to log in', async (t) => {
  const wxlogin = await startWxlogin(t, saying({ active: false }));
  const identify = createIntrospection({ url: wxlogin.url });
  for (let i = 1; i < 4; i++) {
    await assert.rejects(identify(asking(token(1))), RELOGIN);
    assert.equal(wxlogin.asked.length, i); // a refusal is not kept
  }
});

test('what is no token is not asked about', async (t) => {
  const wxlogin = await startWxlogin(t, saying(active(1)));
  const identify = createIntrospection({ url: wxlogin.url });
  const one = token(1);
  for (const authorization of [undefined, '', 'Bearer', 'Bearer x', `Basic ${one}`, one, `Bearer ${one}x`]) {
    await assert.rejects(identify({ headers: { authorization } }), RELOGIN);
  }
  assert.equal(wxlogin.asked.length, 0);
});

for (const [what, answer] of Object.entries({
  busy: saying({ status: 503, code: 'storage_unavailable' }, 503),
  'of a wrong key': saying({ status: 401, code: 'invalid_api_key' }, 401),
  'of somebody else': saying('hello'),
  'that is null': saying(null),
  'without a user': saying({ active: true }),
  'without a word': (res) => res.end(),
  'that is no JSON': (res) => res.end('<html>'),
  'that never comes': () => {},
  'that is cut': (res) => {
    res.writeHead(200, { 'Content-Length': 100 });
    res.write('{', () => res.destroy());
  },
})) {
  test(`an answer ${what} lets no request in and signs no user out`, async (t) => {
    const wxlogin = await startWxlogin(t, answer);
    const identify = createIntrospection({ url: wxlogin.url, timeout: 200 });
    await assert.rejects(identify(asking(token(1))), RETRY);
  });
}

test('no answer at all neither', async () => {
  await assert.rejects(createIntrospection({ url: 'http://127.0.0.1:1' })(asking(token(1))), RETRY);
});

test('an answer is kept for its time', async (t) => {
  const clock = stopClock(t);
  const wxlogin = await startWxlogin(t, answerByToken);
  const identify = createIntrospection({ url: wxlogin.url, keep: 5000 });
  for (const [pass, questions] of [[0, 1], [4.999, 1], [0.001, 2], [4.999, 2]]) {
    clock.pass(pass);
    assert.equal((await identify(asking(token(1)))).userId, '1');
    assert.equal(wxlogin.asked.length, questions);
  }
});

test('an answer is not kept beyond the end of its session', async (t) => {
  const clock = stopClock(t);
  const wxlogin = await startWxlogin(t, (res) => saying({ ...active(1), exp: now() + 2 })(res));
  const identify = createIntrospection({ url: wxlogin.url, keep: 60000 });
  await identify(asking(token(1)));
  clock.pass(2);
  await identify(asking(token(1)));
  assert.equal(wxlogin.asked.length, 2);
});

test('no more answers are kept than that, and the newest stay', async (t) => {
  const wxlogin = await startWxlogin(t, answerByToken);
  const identify = createIntrospection({ url: wxlogin.url, keep: 60000, most: 3 });
  for (const n of [1, 2, 3, 4]) assert.equal((await identify(asking(token(n)))).userId, String(n));
  for (const n of [2, 3, 4]) assert.equal((await identify(asking(token(n)))).userId, String(n));
  assert.equal(wxlogin.asked.length, 4);
  await identify(asking(token(1)));
  assert.equal(wxlogin.asked.length, 5);
});

test('keep: 0 keeps nothing, and connections stay', async (t) => {
  const wxlogin = await startWxlogin(t, answerByToken);
  const identify = createIntrospection({ url: wxlogin.url, keep: 0 });
  for (let i = 0; i < 10; i++) await identify(asking(token(1)));
  assert.deepEqual([wxlogin.asked.length, wxlogin.sockets.size], [10, 1]);
});
