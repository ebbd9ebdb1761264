// The answers of a service to what it cannot do, in the form of wxlogin's: clients then know what helps.

/** Problem is what a client is told. action: relogin, retry (after so many seconds) or none. */
class Problem extends Error {
  constructor(status, code, detail, { action = 'none', retryAfter = 0 } = {}) {
    super(code);
    Object.assign(this, { status, code, detail, action, retryAfter });
  }
}

/** sendProblem answers with a Problem; any other error is told to the log alone. */
function sendProblem(req, res, err) {
  const known = err instanceof Problem;
  if (!known) console.error(err);
  const { status, code, detail, action, retryAfter } = known ? err : new Problem(500, 'internal', 'The service failed.');
  if (!req.complete) res.setHeader('Connection', 'close'); // the rest of the body is not waited for
  if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
  if (retryAfter) res.setHeader('Retry-After', retryAfter);
  res.writeHead(status, { 'Content-Type': 'application/problem+json; charset=utf-8', 'Cache-Control': 'no-store' });
  const requestId = req.headers['x-request-id'] || '';
  res.end(JSON.stringify({ type: 'about:blank', title: code, status, detail, code, action, requestId }));
}

module.exports = { Problem, sendProblem };
