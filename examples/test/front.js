// A server in front of the demo's: it hands everything on, until a test tells it to answer by itself or not at all.

const http = require('node:http');

/**
 * startFront returns { url, answers, away }. answers: what some requests get in the place of the server's answer, by
 * method and path: answers.set('POST /onLogin', [503, { code: 'misconfigured' }, { 'Retry-After': '30' }]). away: true
 * cuts every connection, as a network does that is not there.
 */
async function startFront(t, server) {
  const front = { url: '', answers: new Map(), away: false };
  const listener = http.createServer((req, res) => {
    const answer = front.answers.get(`${req.method} ${req.url}`);
    if (front.away) req.socket.destroy();
    else if (answer) answerWith(answer, req, res);
    else handOn(server, req, res);
  });
  await new Promise((listening) => { listener.listen(0, '127.0.0.1', listening); });
  t.after(() => { listener.closeAllConnections(); listener.close(); });
  front.url = `http://127.0.0.1:${listener.address().port}`;
  return front;
}

function answerWith([status, body, header = {}], req, res) {
  req.resume();
  res.writeHead(status, { 'content-type': 'application/problem+json', ...header });
  res.end(JSON.stringify({ status, ...body }));
}

function handOn(server, req, res) {
  const { pathname, search } = new URL(req.url, server);
  const onward = http.request(server + pathname + search, { method: req.method, headers: req.headers }, (answer) => {
    res.writeHead(answer.statusCode, answer.headers);
    answer.pipe(res);
  });
  onward.on('error', () => res.destroy());
  req.pipe(onward);
}

module.exports = { startFront };
