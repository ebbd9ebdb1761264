// logout(), here and everywhere: sessions end on the server and on the phone, and only the user's login begins another.

const assert = require('node:assert/strict');
const { launch, watch } = require('./phone.js');
const {
  WEEK, LOGIN, GET_USER, LOGOUT, LOGGED_OUT, SECOND_APP, logIn, logInSilently, logInFresh, ask, logOut, logOutEverywhere, endSession, ended,
  stillWorks, goAway, comeBack, relaunch, stop, pass, answering, failing, atOnce, whileRequest, whileAnswer, newPhone, openPhone,
  check, checks, assertSeen, kept,
} = require('./session.js');

const bearerOf = ({ header }) => header.Authorization.slice('Bearer '.length);

/** together begins second while the answer to first's request of this path is held, and waits for both. */
const together = (path, first, second) => async (phone) => {
  let later;
  const result = await whileAnswer(path, first, () => { later = second(phone); })(phone);
  await later;
  return result;
};

for (const [which, leave] of [['a logout', logOut], ['a logout everywhere', logOutEverywhere]]) {
  checks(openPhone, {
    [`${which} ends the session, on the server and on the phone`]: [[async (phone) => {
      const sent = watch(phone.wx, 'request');
      assert.equal(await leave(phone), undefined);
      assert.ok(bearerOf(sent[0]) === phone.token);
      assert.deepEqual(sent[0].data, leave === logOut ? {} : { everywhere: 'true' });
      assert.ok(!JSON.stringify(kept(phone)).includes(phone.token));
    }, ended], { requests: [LOGOUT], logins: 0, loggedOut: true }],
    // The session ends by itself, a week later.
    [`without the server, ${which} forgets the session and fails`]: [
      [goAway, failing(leave, { status: 0, code: 'network' }), comeBack, stillWorks], { loggedOut: true }],
    [`two calls of ${which} at once are one`]: [atOnce(leave, leave), { requests: [LOGOUT], logins: 0 }],
    [`a request that ${which} overtakes does not log in again`]: [whileRequest('/userInfo', ask, leave),
      { fails: LOGGED_OUT, requests: [LOGOUT, 'GET /userInfo 401'], logins: 0, loggedOut: true }],
  });

  for (const begin of [logIn, ask]) {
    check(`${which} during the login of ${begin.name} ends what that begins`, newPhone, async (phone) => {
      const sent = watch(phone.wx, 'request');
      const mayFail = (given) => begin(given).catch((problem) => problem);
      const { code, userInfo } = await together('/onLogin', mayFail, leave)(phone);
      assert.ok(userInfo || (code === 'logged_out' && begin === ask), code); // it depends on which request arrives first
      await ended({ token: bearerOf(sent.find(({ url }) => url.endsWith('/logout'))) });
    }, { logins: 1, loggedOut: true, ...(begin === logIn && { requests: [LOGIN, LOGOUT] }) });
  }
}

for (const [which, leave] of [['a logout', logOut], ['a logout everywhere', logOutEverywhere]]) {
  check(`${which} during a fresh login ends what that begins`, openPhone, async (phone) => {
    const sent = watch(phone.wx, 'request');
    await together('/onLogin', logInFresh, leave)(phone);
    const token = bearerOf(sent.find(({ url }) => url.endsWith('/logout')));
    assert.ok(token !== phone.token);
    await ended({ token });
  }, { requests: [LOGIN, LOGOUT], logins: 1, loggedOut: true });
  check(`a fresh login during ${which} begins a session that stays`, openPhone,
    [together('/logout', leave, logInFresh), ended, (phone) => isOpen(phone)], { requests: [LOGOUT, LOGIN, GET_USER], token: 'new' });
}

const freshSilently = ({ client }) => client.login({ fresh: true, silent: true });

checks(openPhone, {
  'a fresh login ends a logout': [[logOut, logInFresh, (phone) => isOpen(phone)],
    { requests: [LOGOUT, LOGIN, GET_USER], logins: 1, token: 'new' }],
  'a silent fresh login does not': [[logOut, freshSilently],
    { fails: LOGGED_OUT, requests: [LOGOUT], logins: 0, loggedOut: true }],
  'a silent fresh login during a logout is refused': [together('/logout', logOut, failing(freshSilently, LOGGED_OUT)),
    { requests: [LOGOUT], logins: 0, loggedOut: true }],
});

const isOpen = async (phone) => {
  assert.equal(kept(phone).loggedOut, false);
  assert.equal((await ask(phone)).status, 200);
};

checks(openPhone, {
  'a login that is not silent ends a logout, in later launches too': [[async (phone) => {
    const { client, user, seen } = phone;
    await client.saveProfile({ nickName: user });
    await client.logout();
    seen.requests.length = 0;
    const again = await client.login();
    assert.deepEqual([again.isNewUser, again.userInfo.nickName], [false, user]);
    assert.deepEqual(seen.requests, [LOGIN]);
  }, isOpen, (phone) => launch(phone).login({ silent: true })], { logins: 1, token: 'new' }],
  'a login that fails ends the logout all the same': [
    [logOut, goAway, failing(logIn, { code: 'network' }), comeBack, logInSilently], { token: 'new' }],
  'other phones stay logged in': [async ({ client, user }) => {
    const other = await openPhone({ user });
    await client.logout();
    await stillWorks(other);
  }],
  'a second logout sends nothing': [[logOut, logOut], { requests: [LOGOUT] }],
  'a token that the phone considers expired is ended too': [[stop, pass(WEEK), logOut, ended]],
  'a logout of a session that had ended succeeds': [[endSession, logOut], { requests: [LOGOUT], loggedOut: true }],
  'a busy server is told once more, after its time': [[
    answering('POST /logout', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }]), logOut,
  ], {
    fails: { code: 'storage_unavailable', retryAfter: 2 }, requests: ['POST /logout 503', 'POST /logout 503'], waits: [2],
    loggedOut: true,
  }],
  'a gateway\'s 401 to a logout does not log in': [[answering('POST /logout', [401, {}]), logOut],
    { fails: { status: 401 }, requests: ['POST /logout 401'], logins: 0, loggedOut: true }],
  'a logout during a launch\'s login with a token that has ended leaves no session': [
    [endSession, relaunch, together('/userInfo', logIn, logOut)],
    { requests: ['GET /userInfo 401', LOGIN, LOGOUT], loggedOut: true }],
  'a logout waits for a relogin that outlasts the login': [async (phone) => {
    let rest;
    const login = whileAnswer('/userInfo', logIn, async () => {
      await endSession(phone);
      await new Promise((reached) => {
        const relogin = whileAnswer('/onLogin', ask, () => {
          rest = [logOut(phone), relogin.catch(({ code }) => assert.equal(code, 'logged_out'))];
          reached();
          return login;
        })(phone);
      });
    })(phone);
    await login;
    await Promise.all(rest);
    assert.ok(phone.seen.requests.includes(LOGOUT));
  }, { loggedOut: true }],
  'a login during a logout begins a session that stays': [
    [whileRequest('/logout', logOut, logIn), ended, isOpen], { token: 'new' }],
  'a request under way at a logout succeeds, and brings no session back': [[
    stop, whileAnswer('/userInfo', ask, (phone) => logOut(phone).then(() => phone.clock.pass(2 * 3600))),
  ], { loggedOut: true }],
  'a request that a logout overtakes after a relogin is refused': [[endSession, whileAnswer('/onLogin', ask, (phone) => {
    whileRequest('/userInfo', () => {}, logOut)(phone); // the repeat
  })], { fails: LOGGED_OUT, requests: ['GET /userInfo 401', LOGIN, LOGOUT, 'GET /userInfo 401'], loggedOut: true }],
});

checks(newPhone, {
  'without a session there is nothing to tell the server': [[logOut, logOut], { requests: [], logins: 0, loggedOut: true }],
  'a logout during a login that fails waits for its end': [[
    answering('POST /onLogin', [503, { code: 'misconfigured', action: 'none' }]),
    atOnce(failing(logIn, { code: 'misconfigured' }), logOut),
  ], { requests: ['POST /onLogin 503'], loggedOut: true }],
  'of a logout that waits for a login and a login after it, the last one counts': [
    together('/onLogin', logIn, atOnce(logOut, failing(logInSilently, LOGGED_OUT), logIn)), { token: 'new' }],
  'two logouts everywhere at once without a token share one login': [atOnce(logOutEverywhere, logOutEverywhere),
    { requests: [LOGIN, LOGOUT], logins: 1 }],
});

// --- Everywhere: all sessions of the user in this mini-program, and none that begins afterwards.

check('all phones of the user are logged out, and no others', openPhone, async (phone) => {
  const others = [await openPhone({ user: phone.user }), await openPhone({ user: phone.user })];
  const otherApp = await openPhone({ user: phone.user, appId: SECOND_APP });
  const stranger = await openPhone();
  await logOutEverywhere(phone);
  for (const each of [phone, ...others]) await ended(each);
  for (const each of [otherApp, stranger]) await stillWorks(each);
  await ask(others[0]); // such a phone logs in again by itself
  await assertSeen(others[0], { requests: ['GET /userInfo 401', LOGIN, GET_USER] });
});

for (const [name, prepare, requests] of [
  ['whose token has ended', endSession, ['POST /logout 401', LOGIN, LOGOUT]],
  ['that is logged out already', logOut, [LOGOUT, LOGIN, LOGOUT]],
  ['with an empty storage', ({ device }) => device.storage.clear(), [LOGIN, LOGOUT]],
]) {
  check(`a phone ${name} logs in for that, and keeps nothing of it`, openPhone, async (phone) => {
    const other = await openPhone({ user: phone.user });
    await prepare(phone);
    relaunch(phone);
    const sent = watch(phone.wx, 'request');
    await logOutEverywhere(phone);
    await ended(other);
    for (const call of sent.filter(({ url }) => url.endsWith('/logout'))) await ended({ token: bearerOf(call) });
  }, { requests, logins: 1, loggedOut: true });
}

/** loginWaits begins a login while something is held, which must not call wx.login before that goes on. */
const loginWaits = (logins) => (phone) => {
  phone.waiting = logIn(phone);
  return new Promise(setImmediate).then(() => assert.equal(phone.seen.logins, logins));
};
const waited = ({ waiting }) => waiting;

checks(openPhone, {
  'if it cannot log in for that, it fails': [
    [endSession, answering('POST /onLogin', [403, { code: 'user_blocked', action: 'none' }]), logOutEverywhere],
    { fails: { status: 403, code: 'user_blocked' }, loggedOut: true }],
  'a server that always refuses gets one repeat': [
    [answering('POST /logout', [401, { code: 'invalid_token', action: 'relogin' }]), logOutEverywhere],
    { fails: { status: 401, code: 'invalid_token' }, requests: ['POST /logout 401', LOGIN, 'POST /logout 401'], loggedOut: true }],
  'a second one, after the first, is a new one': [[logOutEverywhere, async (phone) => {
    const other = await openPhone({ user: phone.user });
    await logOutEverywhere(phone);
    await ended(other);
  }]],
  'a login meanwhile begins its session afterwards, so that it stays': [
    [whileRequest('/logout', logOutEverywhere, loginWaits(0)), waited, ended], { requests: [LOGOUT, LOGIN], token: 'new' }],
  'a login meanwhile never has a second code under way': [
    [endSession, whileAnswer('/onLogin', logOutEverywhere, loginWaits(1)), waited], { logins: 2, token: 'new' }],
  'a login goes on if the logout fails': [[
    answering('POST /logout', [500, { code: 'internal', action: 'none' }]),
    failing(whileRequest('/logout', logOutEverywhere, loginWaits(0)), { code: 'internal' }), waited,
  ], { token: 'new' }],
});
