// logout(), here and everywhere: sessions end on the server and on the phone, and only the user's login begins another.

const assert = require('node:assert/strict');
const test = require('node:test');
const { stopClock } = require('./clock.js');
const { launch, watch } = require('./phone.js');
const {
  WEEK, LOGIN, GET_USER, USER_INFO, newPhone, openPhone, check, checks, assertSeen, kept, tokenOf, works, end,
} = require('./session.js');

const EVERYWHERE = { everywhere: true };
const LOGOUT = 'POST /logout 200';
const LOGGED_OUT = { code: 'logged_out' };

const bearerOf = ({ header }) => header.Authorization.slice('Bearer '.length);

for (const how of [{}, EVERYWHERE]) {
  const which = how.everywhere ? 'a logout everywhere' : 'a logout';

  checks(openPhone, {
    [`${which} ends the session, on the server and on the phone`]: [async (phone) => {
      const { client, token, wx } = phone;
      const sent = watch(wx, 'request');
      assert.equal(await client.logout(how), undefined);
      assert.ok(!(await works(token)));
      assert.ok(bearerOf(sent[0]) === token);
      assert.deepEqual(sent[0].data, how.everywhere ? { everywhere: 'true' } : {});
      assert.ok(!JSON.stringify(kept(phone)).includes(token));
    }, { requests: [LOGOUT], logins: 0, loggedOut: true }],

    [`without the server, ${which} forgets the session and fails`]: [async (phone) => {
      const { client, net, token } = phone;
      net.away = true;
      await assert.rejects(client.logout(how), { status: 0, code: 'network' });
      net.away = false;
      assert.ok(await works(token)); // it ends by itself, a week later
    }, { loggedOut: true }],

    [`two calls of ${which} at once are one`]: [({ client }) => Promise.all([client.logout(how), client.logout(how)]),
      { requests: [LOGOUT], logins: 0 }],

    [`a request that ${which} overtakes does not log in again`]: [async ({ client, net }) => {
      await net.whileRequestHeld('/userInfo', () => client.request(USER_INFO), () => client.logout(how));
    }, {
      fails: { status: 0, ...LOGGED_OUT, action: 'none', retryAfter: 0 },
      requests: [LOGOUT, 'GET /userInfo 401'], logins: 0, loggedOut: true,
    }],
  });

  for (const [name, begin] of [['login', (client) => client.login()], ['request', (client) => client.request(USER_INFO)]]) {
    check(`${which} during the login of ${name}() ends what that begins`, newPhone, async ({ client, wx, net }) => {
      const sent = watch(wx, 'request');
      let logout;
      const { code, userInfo } = await net.whileAnswerHeld('/onLogin',
        () => begin(client).catch((problem) => problem), () => { logout = client.logout(how); });
      await logout; // a request() succeeds or not: it depends on which request arrives first
      assert.ok(userInfo || (code === 'logged_out' && name === 'request'), code);
      assert.ok(!(await works(bearerOf(sent.find(({ url }) => url.endsWith('/logout'))))));
    }, { logins: 1, loggedOut: true, ...(name === 'login' && { requests: [LOGIN, LOGOUT] }) });
  }
}

checks(openPhone, {
  'a login that is not silent ends a logout, in later launches too': [async (phone) => {
    const { client, user, seen } = phone;
    await client.saveProfile({ nickName: user });
    await client.logout();
    seen.requests.length = 0;
    const again = await client.login();
    assert.deepEqual([again.isNewUser, again.userInfo.nickName], [false, user]);
    assert.deepEqual(seen.requests, [LOGIN]);
    assert.equal(kept(phone).loggedOut, false);
    assert.equal((await client.request(USER_INFO)).status, 200);
    await launch(phone).login({ silent: true });
  }, { logins: 1, token: 'new' }],

  'a login that fails ends the logout all the same': [async ({ client, net }) => {
    await client.logout();
    net.away = true;
    await assert.rejects(client.login(), { code: 'network' });
    net.away = false;
    await client.login({ silent: true });
  }, { token: 'new' }],

  'other phones stay logged in': [async ({ client, user }) => {
    const other = await openPhone({ user });
    await client.logout();
    assert.ok(await works(other.token));
  }],

  'a second logout sends nothing': [async ({ client }) => {
    await client.logout();
    await client.logout();
  }, { requests: [LOGOUT] }],

  'a token that the phone considers expired is ended too': [async ({ client, token }, t) => {
    stopClock(t).pass(WEEK);
    await client.logout();
    assert.ok(!(await works(token)));
  }],

  'a logout of a session that had ended succeeds': [async ({ client, token }) => {
    await end(token);
    await client.logout();
  }, { requests: [LOGOUT], loggedOut: true }],

  'a busy server is told once more, after its time': [async ({ client, net }) => {
    net.answer('POST /logout', [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }]);
    await client.logout();
  }, {
    fails: { code: 'storage_unavailable', retryAfter: 2 }, requests: ['POST /logout 503', 'POST /logout 503'], waits: [2], loggedOut: true,
  }],

  'a gateway\'s 401 to a logout does not log in': [async ({ client, net }) => {
    net.answer('POST /logout', [401, {}]);
    await client.logout();
  }, { fails: { status: 401 }, requests: ['POST /logout 401'], logins: 0, loggedOut: true }],

  'a logout during a launch\'s login with a token that has ended leaves no session': [async ({ token, net, ...phone }) => {
    await end(token);
    const client = launch(phone);
    let logout;
    await net.whileAnswerHeld('/userInfo', () => client.login(), () => { logout = client.logout(); });
    await logout;
    await assertSeen({ ...phone, client }, { loggedOut: true });
  }, { requests: ['GET /userInfo 401', LOGIN, LOGOUT] }],

  'a logout waits for a relogin that outlasts the login': [async ({ token, net, seen, ...phone }) => {
    const client = launch(phone);
    let rest;
    const login = net.whileAnswerHeld('/userInfo', () => client.login(), async () => {
      await end(token);
      await new Promise((reached) => {
        const relogin = net.whileAnswerHeld('/onLogin', () => client.request(USER_INFO), () => {
          rest = [client.logout(), relogin.catch(({ code }) => assert.equal(code, 'logged_out'))];
          reached();
          return login;
        });
      });
    });
    await login;
    await Promise.all(rest);
    assert.ok(seen.requests.includes(LOGOUT));
    await assertSeen({ ...phone, seen, client }, { loggedOut: true });
  }],

  'a login during a logout begins a session that stays': [async (phone) => {
    const { client, net, token } = phone;
    await net.whileRequestHeld('/logout', () => client.logout(), () => client.login());
    assert.ok(!(await works(token)));
    assert.equal(kept(phone).loggedOut, false);
    assert.equal((await client.request(USER_INFO)).status, 200);
  }, { token: 'new' }],

  'a request under way at a logout succeeds, and brings no session back': [async ({ client, net }, t) => {
    const clock = stopClock(t);
    const { status } = await net.whileAnswerHeld('/userInfo', () => client.request(USER_INFO), () => client.logout().then(() => {
      clock.pass(2 * 3600);
    }));
    assert.equal(status, 200);
  }, { loggedOut: true }],

  'a request that a logout overtakes after a relogin is refused': [async ({ client, net, token }) => {
    await end(token);
    await net.whileAnswerHeld('/onLogin', () => client.request(USER_INFO), () => {
      net.whileRequestHeld('/userInfo', () => {}, () => client.logout()); // the repeat
    });
  }, { fails: LOGGED_OUT, requests: ['GET /userInfo 401', LOGIN, LOGOUT, 'GET /userInfo 401'], loggedOut: true }],
});

checks(newPhone, {
  'without a session there is nothing to tell the server': [async ({ client }) => {
    await client.logout();
    await client.logout();
  }, { requests: [], logins: 0, loggedOut: true }],

  'a logout during a login that fails waits for its end': [async ({ client, net }) => {
    net.answer('POST /onLogin', [503, { code: 'misconfigured', action: 'none' }]);
    const login = assert.rejects(client.login(), { code: 'misconfigured' });
    await client.logout();
    await login;
  }, { requests: ['POST /onLogin 503'], loggedOut: true }],

  'of a logout that waits for a login and a login after it, the last one counts': [async ({ client, net }) => {
    let later;
    await net.whileAnswerHeld('/onLogin', () => client.login(), () => {
      later = [client.logout(), assert.rejects(client.login({ silent: true }), LOGGED_OUT), client.login()];
    });
    await Promise.all(later);
  }, { token: 'new' }],

  'two logouts everywhere at once without a token share one login': [({ client }) => (
    Promise.all([client.logout(EVERYWHERE), client.logout(EVERYWHERE)])
  ), { requests: [LOGIN, LOGOUT], logins: 1 }],
});

// --- Everywhere: all sessions of the user in this mini-program, and none that begins afterwards.

test('all phones of the user are logged out, and no others', async () => {
  const { user, client, token } = await openPhone();
  const others = [await openPhone({ user }), await openPhone({ user })];
  const otherApp = await openPhone({ user, appId: 'wx000000000001demo' });
  const stranger = await openPhone();
  await client.logout(EVERYWHERE);
  for (const ended of [token, ...others.map((other) => other.token)]) assert.ok(!(await works(ended)));
  for (const { token: good } of [otherApp, stranger]) assert.ok(await works(good));
  await others[0].client.request(USER_INFO); // such a phone logs in again by itself
  await assertSeen(others[0], { requests: ['GET /userInfo 401', LOGIN, GET_USER] });
});

for (const [name, prepare, requests] of [
  ['whose token has ended', async ({ client, token }) => { await end(token); return client; }, ['POST /logout 401', LOGIN, LOGOUT]],
  ['that is logged out already', async ({ client }) => { await client.logout(); return client; }, [LOGOUT, LOGIN, LOGOUT]],
  ['with an empty storage', async (phone) => { phone.device.storage.clear(); return launch(phone); }, [LOGIN, LOGOUT]],
]) {
  check(`a phone ${name} logs in for that, and keeps nothing of it`, openPhone, async (phone) => {
    const other = await openPhone({ user: phone.user });
    const client = await prepare(phone);
    const sent = watch(phone.wx, 'request');
    await client.logout(EVERYWHERE);
    assert.ok(!(await works(other.token)));
    for (const call of sent.filter(({ url }) => url.endsWith('/logout'))) assert.ok(!(await works(bearerOf(call))));
    await assertSeen({ ...phone, client }, { loggedOut: true });
  }, { requests, logins: 1 });
}

checks(openPhone, {
  'if it cannot log in for that, it fails': [async ({ client, net, token }) => {
    await end(token);
    net.answer('POST /onLogin', [403, { code: 'user_blocked', action: 'none' }]);
    await client.logout(EVERYWHERE);
  }, { fails: { status: 403, code: 'user_blocked' }, loggedOut: true }],

  'a server that always refuses gets one repeat': [async ({ client, net }) => {
    net.answer('POST /logout', [401, { code: 'invalid_token', action: 'relogin' }]);
    await client.logout(EVERYWHERE);
  }, {
    fails: { status: 401, code: 'invalid_token' }, requests: ['POST /logout 401', LOGIN, 'POST /logout 401'], loggedOut: true,
  }],

  'a second one, after the first, is a new one': [async ({ client, user }) => {
    await client.logout(EVERYWHERE);
    const other = await openPhone({ user });
    await client.logout(EVERYWHERE);
    assert.ok(!(await works(other.token)));
  }],

  'a login meanwhile begins its session afterwards, so that it stays': [async ({ client, net, seen, token }) => {
    let login;
    await net.whileRequestHeld('/logout', () => client.logout(EVERYWHERE), async () => {
      login = client.login();
      await new Promise(setImmediate);
      assert.equal(seen.logins, 0); // it waits
    });
    await login;
    assert.ok(!(await works(token)));
  }, { requests: [LOGOUT, LOGIN], token: 'new' }],

  'a login meanwhile never has a second code under way': [async ({ client, net, seen, token }) => {
    await end(token);
    let login;
    await net.whileAnswerHeld('/onLogin', () => client.logout(EVERYWHERE), async () => {
      login = client.login();
      await new Promise(setImmediate);
      assert.equal(seen.logins, 1); // that of the logout, for which it waits
    });
    await login;
  }, { logins: 2, token: 'new' }],

  'a login goes on if the logout fails': [async (phone) => {
    const { client, net } = phone;
    net.answer('POST /logout', [500, { code: 'internal', action: 'none' }]);
    let login;
    const logout = net.whileRequestHeld('/logout', () => client.logout(EVERYWHERE), () => { login = client.login(); });
    await assert.rejects(logout, { code: 'internal' });
    await login;
    assert.ok(await works(tokenOf(phone)));
  }],
});
