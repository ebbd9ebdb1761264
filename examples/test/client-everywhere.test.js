// logout({ everywhere: true }): all sessions of the user in this mini-program end, and none that begins afterwards.

const assert = require('node:assert/strict');
const test = require('node:test');
const { holdAnswer, holdRequest, watch } = require('./calls.js');
const { startFront } = require('./front.js');
const { server, takePhone, launch } = require('./phone.js');
const { kept, tokenOf, openPhone, works, end } = require('./session.js');

const USER_INFO = { url: '/userInfo' };
const EVERYWHERE = { everywhere: true };

async function isLoggedOut(phone, client) {
  assert.ok(tokenOf(phone) === '' && kept(phone).loggedOut === true);
  await assert.rejects(client.request(USER_INFO), { code: 'logged_out' });
  await assert.rejects(launch(phone).login({ silent: true }), { code: 'logged_out' });
}

test('all phones of the user are logged out, and nobody else\'s', async () => {
  const phone = await openPhone();
  const { user, client, seen, wx } = phone;
  const others = [await openPhone({ user }), await openPhone({ user })];
  const otherApp = await openPhone({ user, appId: 'wx000000000001demo' });
  const stranger = await openPhone();
  const sent = watch(wx, 'request');
  assert.equal(await client.logout(EVERYWHERE), undefined);
  assert.deepEqual(seen.requests, ['POST /logout 200']);
  assert.deepEqual(sent[0].data, { everywhere: 'true' });
  for (const { token } of [phone, ...others]) assert.ok(!(await works(token)));
  for (const { token } of [otherApp, stranger]) assert.ok(await works(token));
  await isLoggedOut(phone, client);
});

test('another phone that was logged out so logs in again by itself', async () => {
  const { user, client } = await openPhone();
  const other = await openPhone({ user });
  await client.logout(EVERYWHERE);
  assert.equal((await other.client.request(USER_INFO)).status, 200);
  assert.deepEqual(other.seen.requests, ['GET /userInfo 401', 'POST /onLogin 200', 'GET /userInfo 200']);
});

const TOKENLESS = {
  'whose token has ended': [async ({ client, token }) => { await end(token); return client; },
    ['POST /logout 401', 'POST /onLogin 200', 'POST /logout 200']],
  'that is logged out already': [async ({ client }) => { await client.logout(); return client; },
    ['POST /logout 200', 'POST /onLogin 200', 'POST /logout 200']],
  'with an empty storage': [async (phone) => { phone.device.storage.clear(); return launch(phone); },
    ['POST /onLogin 200', 'POST /logout 200']],
};

for (const [name, [prepare, requests]] of Object.entries(TOKENLESS)) {
  test(`a phone ${name} logs in for that, and keeps nothing of it`, async () => {
    const phone = await openPhone();
    const other = await openPhone({ user: phone.user });
    const client = await prepare(phone);
    const sent = watch(phone.wx, 'request');
    await client.logout(EVERYWHERE);
    assert.deepEqual(phone.seen.requests, requests);
    assert.ok(!(await works(other.token)));
    assert.equal(phone.seen.logins, 2);
    for (const { header } of sent.filter(({ url }) => url.endsWith('/logout'))) {
      assert.ok(!(await works(header.Authorization.slice('Bearer '.length))));
    }
    await isLoggedOut(phone, client);
  });
}

test('where it cannot log in for that, it is told', async (t) => {
  const front = await startFront(t, server);
  const phone = await openPhone({}, { server: front.url });
  await end(phone.token);
  front.answers.set('POST /onLogin', [403, { code: 'user_blocked', action: 'none' }]);
  await assert.rejects(phone.client.logout(EVERYWHERE), { status: 403, code: 'user_blocked' });
  assert.ok(tokenOf(phone) === '' && kept(phone).loggedOut);
});

test('a server that refuses for ever gets one repeat', async (t) => {
  const front = await startFront(t, server);
  const phone = await openPhone({}, { server: front.url });
  front.answers.set('POST /logout', [401, { code: 'invalid_token', action: 'relogin' }]);
  await assert.rejects(phone.client.logout(EVERYWHERE), { status: 401, code: 'invalid_token' });
  assert.deepEqual(phone.seen.requests, ['POST /logout 401', 'POST /onLogin 200', 'POST /logout 401']);
  assert.ok(tokenOf(phone) === '' && kept(phone).loggedOut);
});

test('two at once are one', async () => {
  const { client, seen } = await openPhone();
  await Promise.all([client.logout(EVERYWHERE), client.logout(EVERYWHERE)]);
  assert.deepEqual(seen.requests, ['POST /logout 200']);
  assert.equal(seen.logins, 1);
});

test('two at once without a token share one login', async () => {
  const phone = takePhone();
  const client = launch(phone);
  await Promise.all([client.logout(EVERYWHERE), client.logout(EVERYWHERE)]);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'POST /logout 200']);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [1, 1]);
});

test('a second one, after the first, is a new one', async () => {
  const { client, user } = await openPhone();
  await client.logout(EVERYWHERE);
  const other = await openPhone({ user });
  await client.logout(EVERYWHERE);
  assert.ok(!(await works(other.token)));
});

test('a login meanwhile begins its session afterwards, so that it stays', async () => {
  const phone = await openPhone();
  const held = holdRequest(phone.wx, '/logout');
  const logout = phone.client.logout(EVERYWHERE);
  await held.came;
  const login = phone.client.login();
  await new Promise(setImmediate);
  assert.equal(phone.seen.logins, 1); // it waits
  held.go();
  await Promise.all([logout, login]);
  assert.ok(!(await works(phone.token)));
  assert.ok(await works(tokenOf(phone)));
  assert.deepEqual(phone.seen.requests, ['POST /logout 200', 'POST /onLogin 200']);
});

test('a login meanwhile never has a second code under way', async () => {
  const phone = await openPhone();
  await end(phone.token);
  const held = holdAnswer(phone.wx, '/onLogin'); // that of the logout
  const logout = phone.client.logout(EVERYWHERE);
  await held.came;
  const login = phone.client.login();
  await new Promise(setImmediate);
  assert.equal(phone.seen.logins, 2); // the login waits for that of the logout
  held.go();
  await Promise.all([logout, login]);
  assert.deepEqual([phone.seen.logins, phone.seen.loginsMost], [3, 1]);
  assert.ok(await works(tokenOf(phone)));
});

test('a login goes on where the logout fails', async (t) => {
  const front = await startFront(t, server);
  const phone = await openPhone({}, { server: front.url });
  front.answers.set('POST /logout', [500, { code: 'internal', action: 'none' }]);
  const held = holdRequest(phone.wx, '/logout');
  const logout = assert.rejects(phone.client.logout(EVERYWHERE), { code: 'internal' });
  await held.came;
  const login = phone.client.login();
  held.go();
  await Promise.all([logout, login]);
  assert.ok(await works(tokenOf(phone)));
});

test('a request under way does not undo it', async () => {
  const phone = await openPhone();
  const held = holdRequest(phone.wx, '/userInfo');
  const request = phone.client.request(USER_INFO);
  await held.came;
  await phone.client.logout(EVERYWHERE);
  held.go();
  await assert.rejects(request, { code: 'logged_out' });
  assert.equal(phone.seen.logins, 1);
  await isLoggedOut(phone, phone.client);
});

test('it waits for the login under way, and ends what that begins', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const held = holdAnswer(phone.wx, '/onLogin');
  const login = client.login();
  await held.came;
  const logout = client.logout(EVERYWHERE);
  held.go();
  await Promise.all([login, logout]);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'POST /logout 200']);
  await isLoggedOut(phone, client);
});
