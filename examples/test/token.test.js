// token(), for what does not go through request(), and onChange(), for what follows the session.

const assert = require('node:assert/strict');
const { createTimers } = require('./clock.js');
const { launch } = require('./phone.js');
const {
  WEEK, UNKNOWN_TOKEN, LOGIN, LOGOUT, LOGGED_OUT, logIn, logInFresh, ask, logOut, logOutEverywhere, deleteAccount,
  takeToken, endSession, goAway, comeBack, stop, pass, answering, failing, atOnce, times, whileRequest, whileAnswer, newPhone,
  openPhone, check, checks, tokenOf, works,
} = require('./session.js');

const BUSY = [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '60' }];

/** refuse is token() with the token that the phone had at the beginning, which must give the one that it has then. */
const refuse = async (phone) => {
  const given = await phone.client.token({ refused: phone.token });
  assert.ok(given === tokenOf(phone) && await works(given));
};

checks(openPhone, {
  'the token that is kept is given without a request': [async (phone) => assert.ok(await takeToken(phone) === phone.token),
    { requests: [], logins: 0, token: 'same' }],
  'a token that a service has refused is replaced': [[endSession, refuse], { requests: [LOGIN], logins: 1, token: 'new' }],
  'twenty refusals of one token take one code': [[endSession, times(20, refuse), refuse], { requests: [LOGIN], logins: 1 }],
  'a late refusal of an older token costs no login': [[endSession, ask, refuse],
    { requests: ['GET /userInfo 401', LOGIN, 'GET /userInfo 200'], logins: 1 }],
  'another value is no refused token': [async (phone) => {
    for (const refused of [undefined, null, '', 7, {}, [phone.token], UNKNOWN_TOKEN]) {
      assert.ok(await phone.client.token({ refused }) === phone.token);
    }
  }, { requests: [], token: 'same' }],
  'an expired token is replaced': [[stop, logInFresh, pass(WEEK), takeToken], { requests: [LOGIN, LOGIN], logins: 2 }],
  'a login that fails for a refused token is reported, and tried again': [
    [goAway, failing(refuse, { code: 'network' }), failing(takeToken, { code: 'network' }), comeBack, takeToken],
    { requests: [LOGIN], logins: 3, token: 'new' }],
  'after a logout there is none': [[logOut, failing(refuse, LOGGED_OUT)], { requests: [LOGOUT], logins: 0, loggedOut: true }],
  'a refusal during a logout begins no session': [whileRequest('/logout', logOut, failing(refuse, LOGGED_OUT)), { loggedOut: true }],
  'a refusal during a deletion makes no new account': [async (phone) => {
    let late;
    await whileAnswer('/deleteAccount', deleteAccount, () => { late = failing(refuse, LOGGED_OUT)(phone); })(phone);
    await late;
  }, { logins: 0, loggedOut: true }],
});

checks(newPhone, {
  'without a token it logs in': [async (phone) => {
    assert.ok(await takeToken(phone) === tokenOf(phone));
  }, { requests: [LOGIN], logins: 1 }],
  'it shares the login that is under way': [async (phone) => {
    let given;
    await whileAnswer('/onLogin', logIn, () => { given = atOnce(takeToken, takeToken)(phone); })(phone);
    for (const each of await given) assert.ok(each === tokenOf(phone));
  }, { requests: [LOGIN], logins: 1 }],
  'asked for when a login has failed and a logout is about to begin, it begins no session': [
    [answering('POST /onLogin', [403, { code: 'user_blocked' }]), async (phone) => {
      const late = logIn(phone).catch(() => takeToken(phone));
      const left = logOut(phone);
      await assert.rejects(late, LOGGED_OUT);
      await left;
    }], { requests: ['POST /onLogin 403'], logins: 1, loggedOut: true }],
});

// --- onChange.

/** listening is a phone at a new launch, with what its listener has heard; heard waits for that. */
const listening = (take) => async () => {
  const phone = await take();
  const timers = createTimers();
  const client = launch({ ...phone, timers });
  const news = [];
  client.onChange(({ loggedIn }) => news.push(loggedIn));
  return { ...phone, timers, client, news };
};

const heard = (...wanted) => async ({ timers, news }) => {
  await timers.pass(0);
  assert.deepEqual(news.splice(0), wanted);
};

checks(listening(newPhone), {
  'a login is heard once': [[times(3, logIn), heard(true), logIn, ask, takeToken, heard()]],
  'the login of a request is heard': [[ask, heard(true)]],
  'it is heard after the promise': [[logIn, ({ news }) => assert.deepEqual(news, []), heard(true)]],
  'a login that fails is not heard': [[goAway, failing(logIn, { code: 'network' }), heard(), comeBack, logIn, heard(true)]],
  'a logout without a session is heard': [[logOut, heard(false)]],
});

checks(listening(openPhone), {
  'neither a token of an earlier launch nor its use is heard': [[stop, logIn, pass(2 * 3600), ask, heard()]],
  'a relogin is heard once, and its refusal is not': [[endSession, ask, heard(true)]],
  'so is that of a login': [[endSession, logIn, heard(true)]],
  'so is a token that a service refused': [[refuse, heard(true)]],
  'so is a fresh login': [[logInFresh, heard(true)]],
  'a relogin that fails is not heard': [
    [endSession, answering('POST /onLogin', BUSY), failing(ask, { code: 'wechat_unavailable' }), heard()]],
  'a logout is heard once, and the login after it': [[logOut, logOut, failing(ask, LOGGED_OUT), heard(false), logIn, heard(true)]],
  'a logout without a network is heard': [[goAway, failing(logOut, { code: 'network' }), heard(false)]],
  'a logout everywhere is heard, and not the login that it needs': [[endSession, logOutEverywhere, heard(false)]],
  'a deletion is heard': [[deleteAccount, heard(false)]],
  'a deletion that needs a login is heard after it': [[
    answering('POST /deleteAccount', [401, { code: 'stale_session', action: 'relogin' }], null), deleteAccount, heard(true, false),
  ]],
  'a deletion that is refused is not heard': [[
    answering('POST /deleteAccount', [403, { code: 'user_blocked' }]), failing(deleteAccount, { code: 'user_blocked' }), heard(),
  ]],
});

check('a deletion is heard when the client learns of it, if its answer got lost', listening(openPhone), [
  answering('POST /deleteAccount', [502, '']), failing(deleteAccount, { status: 502 }), heard(), endSession,
  failing(ask, LOGGED_OUT), heard(false),
]);

check('a listener that throws breaks neither the client nor the others', listening(newPhone), [
  ({ client }) => client.onChange(() => { throw new Error('of the listener'); }),
  ({ client, news }) => client.onChange(({ loggedIn }) => news.push(`after it: ${loggedIn}`)),
  logIn, ask, ({ timers }) => assert.rejects(timers.pass(0), { message: 'of the listener' }), heard(true, 'after it: true'),
]);

check('a listener that was removed hears nothing more, not even what has happened', listening(newPhone), [
  async (phone) => {
    const { client, news } = phone;
    const listener = ({ loggedIn }) => news.push(`twice: ${loggedIn}`);
    phone.ends = [client.onChange(listener), client.onChange(listener)];
  },
  logIn, heard(true, 'twice: true', 'twice: true'),
  ({ ends }) => ends[0](), logOut, heard(false, 'twice: false'),
  logIn, ({ ends }) => ends.forEach((end) => end()), heard(true),
]);

check('a listener may remove itself and others', listening(newPhone), [
  ({ client, news }) => {
    const ends = ['first', 'second'].map((name) => client.onChange(() => {
      news.push(name);
      for (const end of ends) end();
    }));
  },
  logIn, heard(true, 'first'), logOut, heard(false),
]);
