// What must hold for every action of the walk, and for a mini-program after a burst.

const assert = require('node:assert/strict');

const LOGIN = '/onLogin';

/**
 * checkAction checks what one action sent, as {path, status, advice}, and how it ended. trouble is the set of what went wrong in
 * its burst, and of the burst's actions.
 */
function checkAction(name, { sent, problem }, trouble) {
  const what = `${name}: ${sent.map(({ path, status }) => `${path} ${status}`).join(', ')}`;
  const paths = sent.map(({ path }) => path);
  const own = new Set(paths.filter((path) => path !== LOGIN));
  const times = name === 'bindTwice' ? 2 : 1; // calls of the client for each path
  for (const path of own) checkRepeats(what, sent.filter((one) => one.path === path), times);

  // A login takes a code, a second one if that is refused, and one after a wait.
  const first = paths.findIndex((path) => path !== LOGIN);
  const again = first < 0 ? [] : sent.slice(first).filter(({ path, status }) => path === LOGIN && status === 200);
  assert.ok(again.length <= own.size * times, `${what}: more than one relogin`);
  const codes = sent.filter(({ path }) => path === LOGIN).length;
  assert.ok(codes <= 3 * (1 + own.size * times), `${what}: too many codes`);
  checkEnd(name, what, problem, trouble);
}

/** checkRepeats checks the requests of one path: sent again once for each kind of advice, and never without one. */
function checkRepeats(what, sent, times) {
  const repeated = sent.slice(0, -1);
  const followed = (advice) => repeated.filter((one) => one.advice === advice).length;
  assert.ok(followed('relogin') <= times, `${what}: repeated twice after relogin`);
  assert.ok(followed('retry') <= times, `${what}: repeated twice after retry`);
  assert.ok(sent.length <= 3 * times, `${what}: repeated without advice`);
  const usedCode = repeated.some(({ path, status }) => path === '/bindPhone' && status === 400);
  assert.ok(!usedCode, `${what}: a used code of the phone button was sent again`);
}

/** checkEnd allows only failures that something in the burst explains. */
function checkEnd(name, what, problem, trouble) {
  const code = problem ? problem.code || problem.stack : '';
  const one = (...names) => names.some((each) => trouble.has(each));
  const isTokenBad = one('meanwhile', 'logout', 'logoutEverywhere', 'deleteAccount');
  const explained = {
    '': true,
    logged_out: true, // of an earlier burst, perhaps
    wechat_unavailable: true, // still busy
    network: one('away', 'lost', 'silent', 'mute', 'speechless'),
    unknown: one('refusing', 'overloaded') || problem?.action === 'retry' || // a gateway's; or its time to wait goes on
      (name === 'download' && isTokenBad), // whose answer says no more
    invalid_token: isTokenBad,
    undecryptable: one('meanwhile', 'deleteAccount'), // after a relogin for an account that was deleted on the way
    invalid_code: name === 'bindTwice' || one('meanwhile', 'deleteAccount'),
  }[code];
  assert.ok(explained, `${what} ended with ${code}`);
}

/** checkMiniProgram checks a mini-program after a burst of these actions, of which some were done. */
function checkMiniProgram({ device, token, tokenAtStart, heard }, names, done) {
  assert.ok(device.seen.loginsMost <= 1, 'two logins at once');
  const left = names.some((name) => name.startsWith('logout')) || done.includes('deleteAccount');
  const entered = names.some((name) => name.startsWith('login'));
  assert.ok(!(left && !entered && token()), `a token after ${names.join(', ')}`);
  assert.ok(!token() || heard || (heard === undefined && token() === tokenAtStart), `${heard} was heard after ${names.join(', ')}`);
}

module.exports = { checkAction, checkMiniProgram };
