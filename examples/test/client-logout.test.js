// logout(): the session ends on the server and on the phone, and nothing but the user's login begins another.

const assert = require('node:assert/strict');
const test = require('node:test');
const { holdAnswer, holdRequest, watch } = require('./calls.js');
const { stopClock } = require('./clock.js');
const { startFront } = require('./front.js');
const { server, takePhone, launch } = require('./phone.js');
const { WEEK, kept, tokenOf, openPhone, works, end } = require('./session.js');

const USER_INFO = { url: '/userInfo' };
const LOGGED_OUT = { status: 0, code: 'logged_out', action: 'none', retryAfter: 0, message: 'wxlogin: logged_out' };

// isLoggedOut checks that everything but a login that is not silent is refused, without a request.
async function isLoggedOut(phone, client) {
  const { length } = phone.seen.requests;
  const { logins } = phone.seen;
  const detail = await phone.device.getPhoneNumber();
  for (const call of [
    () => client.login({ silent: true }), () => client.request(USER_INFO), () => client.updateUserInfo(),
    () => client.saveProfile({ nickName: '小明' }), () => client.saveProfile({ avatarFile: 'wxfile://tmp_1' }),
    () => client.bindPhone(detail),
  ]) await assert.rejects(call(), LOGGED_OUT);
  assert.deepEqual([phone.seen.requests.length, phone.seen.logins], [length, logins]);
  assert.ok(tokenOf(phone) === '' && kept(phone).loggedOut === true);
}

// isOpen checks that the phone has a session that works.
async function isOpen(phone, client) {
  assert.ok(await works(tokenOf(phone)));
  assert.equal(kept(phone).loggedOut, false);
  assert.equal((await client.request(USER_INFO)).status, 200);
}

test('a logout ends the session, on the server and on the phone', async () => {
  const phone = await openPhone();
  const { client, token, seen, wx } = phone;
  const sent = watch(wx, 'request');
  assert.equal(await client.logout(), undefined);
  assert.ok(!(await works(token)));
  assert.deepEqual(seen.requests, ['POST /logout 200']);
  assert.ok(sent[0].header.Authorization === 'Bearer ' + token);
  assert.deepEqual(sent[0].data, {});
  await isLoggedOut(phone, client);
  assert.ok(!JSON.stringify(kept(phone)).includes(token));
});

test('it outlives relaunches', async () => {
  const phone = await openPhone();
  await phone.client.logout();
  await isLoggedOut(phone, launch(phone));
  await isLoggedOut(phone, launch(phone));
});

test('a login that is not silent ends it, in later launches too', async () => {
  const phone = await openPhone();
  const { client, user, seen } = phone;
  await client.saveProfile({ nickName: user });
  await client.logout();
  seen.requests.length = 0;
  const again = await client.login();
  assert.deepEqual([again.isNewUser, again.userInfo.nickName], [false, user]);
  assert.deepEqual(seen.requests, ['POST /onLogin 200']);
  await isOpen(phone, client);
  await launch(phone).login({ silent: true });
  assert.equal(seen.logins, 2);
});

test('a login that fails ends the logout all the same', async (t) => {
  const front = await startFront(t, server);
  const phone = await openPhone({}, { server: front.url });
  await phone.client.logout();
  front.away = true;
  await assert.rejects(phone.client.login(), { code: 'network' });
  front.away = false;
  await phone.client.login({ silent: true });
  assert.ok(await works(tokenOf(phone)));
});

test('other phones stay logged in', async () => {
  const { client, user } = await openPhone();
  const other = await openPhone({ user });
  await client.logout();
  assert.ok(await works(other.token));
});

test('who has no session has nothing to tell the server', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await client.logout();
  await client.logout();
  assert.deepEqual([phone.seen.logins, phone.seen.requests], [0, []]);
  await isLoggedOut(phone, client);
});

test('a second logout sends nothing', async () => {
  const { client, seen } = await openPhone();
  await Promise.all([client.logout(), client.logout()]);
  await client.logout();
  assert.deepEqual(seen.requests, ['POST /logout 200']);
});

test('a token that the phone holds for expired is ended too', async (t) => {
  const clock = stopClock(t);
  const { client, token } = await openPhone();
  clock.pass(WEEK);
  await client.logout();
  assert.ok(!(await works(token)));
});

test('a logout of a session that had ended is as good', async () => {
  const phone = await openPhone();
  await end(phone.token);
  await phone.client.logout();
  assert.deepEqual(phone.seen.requests, ['POST /logout 200']);
  await isLoggedOut(phone, phone.client);
});

for (const everywhere of [false, true]) {
  test(`without the server the session is forgotten, and the caller is told (everywhere: ${everywhere})`, async (t) => {
    const front = await startFront(t, server);
    const phone = await openPhone({}, { server: front.url });
    front.away = true;
    await assert.rejects(phone.client.logout({ everywhere }), { status: 0, code: 'network' });
    front.away = false;
    await isLoggedOut(phone, phone.client);
    await isLoggedOut(phone, launch(phone, { server: front.url }));
    assert.ok(await works(phone.token)); // it ends by itself, a week later
  });
}

test('a busy server is told after its time', async (t) => {
  const front = await startFront(t, server);
  const phone = await openPhone({}, { server: front.url });
  front.answers.set('POST /logout', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }]);
  await assert.rejects(phone.client.logout(), { code: 'storage_unavailable', retryAfter: 2 });
  assert.deepEqual(phone.client.waits, [2]);
  assert.deepEqual(phone.seen.requests, ['POST /logout 503', 'POST /logout 503']);
  await isLoggedOut(phone, phone.client);
});

test('a gateway\'s 401 to a logout does not log in', async (t) => {
  const front = await startFront(t, server);
  const phone = await openPhone({}, { server: front.url });
  front.answers.set('POST /logout', [401, {}]);
  await assert.rejects(phone.client.logout(), { status: 401 });
  assert.deepEqual(phone.seen.requests, ['POST /logout 401']);
  assert.equal(phone.seen.logins, 1);
  await isLoggedOut(phone, phone.client);
});

const BEGIN = { login: (client) => client.login(), request: (client) => client.request(USER_INFO) };

for (const [name, begin] of Object.entries(BEGIN)) {
  test(`a logout during the login of ${name}() ends what that begins`, async () => {
    const phone = takePhone();
    const client = launch(phone);
    const sent = watch(phone.wx, 'request');
    const held = holdAnswer(phone.wx, '/onLogin');
    const begun = begin(client).catch(({ code }) => ({ code }));
    await held.came;
    const logout = client.logout();
    held.go();
    await logout;
    const { code, userInfo } = await begun; // whichever request arrives first
    assert.ok(userInfo || code === 'logged_out', code);
    const { header } = sent.find(({ url }) => url.endsWith('/logout'));
    assert.ok(!(await works(header.Authorization.slice('Bearer '.length))));
    assert.equal(phone.seen.logins, 1);
    await isLoggedOut(phone, client);
  });
}

test('a logout during a login that fails waits for its end', async (t) => {
  const front = await startFront(t, server);
  front.answers.set('POST /onLogin', [503, { code: 'misconfigured', action: 'none' }]);
  const phone = takePhone();
  const client = launch(phone, { server: front.url });
  const login = assert.rejects(client.login(), { code: 'misconfigured' });
  await client.logout();
  await login;
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 503']);
  await isLoggedOut(phone, client);
});

test('a logout during a launch\'s login with a token that has ended leaves no session behind', async () => {
  const phone = await openPhone();
  await end(phone.token);
  const client = launch(phone);
  const held = holdAnswer(phone.wx, '/userInfo');
  const login = client.login();
  await held.came;
  const logout = client.logout();
  held.go();
  await Promise.all([login, logout]);
  await isLoggedOut(phone, client);
  assert.deepEqual(phone.seen.requests, ['GET /userInfo 401', 'POST /onLogin 200', 'POST /logout 200']);
});

test('a logout waits for a relogin that outlasts the login', async () => {
  const phone = await openPhone();
  const client = launch(phone);
  const heldLogin = holdAnswer(phone.wx, '/userInfo');
  const login = client.login();
  await heldLogin.came;
  await end(phone.token);
  const heldRelogin = holdAnswer(phone.wx, '/onLogin');
  const request = client.request(USER_INFO).catch(({ code }) => assert.equal(code, 'logged_out'));
  await heldRelogin.came;
  const logout = client.logout();
  heldLogin.go();
  await login;
  heldRelogin.go();
  await Promise.all([logout, request]);
  assert.ok(phone.seen.requests.includes('POST /logout 200'));
  await isLoggedOut(phone, client);
});

test('a login during a logout begins a session that stays', async () => {
  const phone = await openPhone();
  const held = holdRequest(phone.wx, '/logout');
  const logout = phone.client.logout();
  await held.came;
  await phone.client.login();
  held.go();
  await logout;
  assert.ok(!(await works(phone.token)));
  await isOpen(phone, phone.client);
});

test('of a logout that waits for a login and a login after it, the last one counts', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const held = holdAnswer(phone.wx, '/onLogin');
  const first = client.login();
  await held.came;
  const logout = client.logout();
  const silent = client.login({ silent: true });
  const last = client.login();
  held.go();
  await assert.rejects(silent, { code: 'logged_out' });
  await Promise.all([first, logout, last]);
  assert.ok(await works(tokenOf(phone)));
  assert.equal(phone.seen.loginsMost, 1);
});

test('a request under way at a logout ends well, and brings no session back', async (t) => {
  const clock = stopClock(t);
  const phone = await openPhone();
  const held = holdAnswer(phone.wx, '/userInfo');
  const request = phone.client.request(USER_INFO);
  await held.came;
  await phone.client.logout();
  clock.pass(2 * 3600);
  held.go();
  assert.equal((await request).status, 200);
  await isLoggedOut(phone, phone.client);
});

test('a request that a logout overtakes does not log in again', async () => {
  const phone = await openPhone();
  const held = holdRequest(phone.wx, '/userInfo');
  const request = phone.client.request(USER_INFO);
  await held.came;
  await phone.client.logout();
  held.go();
  await assert.rejects(request, LOGGED_OUT);
  assert.deepEqual(phone.seen.requests, ['POST /logout 200', 'GET /userInfo 401']);
  await isLoggedOut(phone, phone.client);
});

test('a request that a logout overtakes after a relogin ends as one of nobody', async () => {
  const phone = await openPhone();
  await end(phone.token);
  const heldRelogin = holdAnswer(phone.wx, '/onLogin');
  const request = phone.client.request(USER_INFO);
  await heldRelogin.came;
  const held = holdRequest(phone.wx, '/userInfo');
  heldRelogin.go();
  await held.came;
  await phone.client.logout();
  held.go();
  await assert.rejects(request, LOGGED_OUT);
  assert.deepEqual(phone.seen.requests, ['GET /userInfo 401', 'POST /onLogin 200', 'POST /logout 200', 'GET /userInfo 401']);
  await isLoggedOut(phone, phone.client);
});
