// deleteAccount() and unbindPhone(): what the server forgets, and that no account is made by itself afterwards.

const assert = require('node:assert/strict');
const { watch } = require('./phone.js');
const {
  LOGIN, GET_USER, BIND, UNBIND, LOGOUT, DELETE, LOGGED_OUT, NOTHING_KNOWN, logIn, logInSilently, logInFresh, ask, save, unbind, logOut,
  logOutEverywhere, deleteAccount, endSession, ended, stillWorks, goAway, comeBack, relaunch, answering, failing, giving, atOnce,
  times, whileRequest, whileAnswer, newPhone, openPhone, planted, check, checks, kept, tokenOf, end,
} = require('./session.js');

const STALE = [401, { code: 'stale_session', action: 'relogin' }, { 'WWW-Authenticate': 'Bearer' }];
const BUSY = [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }];
const BLOCKED = [403, { code: 'user_blocked', action: 'none' }];
const BROKEN = [500, { code: 'internal', action: 'none' }];
const REFUSED = 'POST /deleteAccount 401';

const bind = async ({ client, device }) => client.bindPhone(await device.getPhoneNumber());
const endNewSession = (phone) => end(tokenOf(phone));
const logInAsNew = async (phone) => assert.deepEqual(await logIn(phone), { ...NOTHING_KNOWN, isNewUser: true });

/** isGone checks that the server does not know the user, which makes a new account: it is the last step of a test. */
const isGone = ({ user }) => logInAsNew(newPhone({ user }));
const isStillThere = async ({ user }) => assert.equal((await logIn(newPhone({ user }))).isNewUser, false);
const deleteElsewhere = async ({ user }) => deleteAccount(await openPhone({ user }));

/** loseSuccess loses the next answer of success to this path: the server has done what it was asked for. */
const loseSuccess = (path) => ({ wx }) => {
  const { request } = wx;
  wx.request = (options) => request({
    ...options,
    success: (res) => {
      if (!options.url.endsWith(path) || res.statusCode !== 200) return options.success(res);
      wx.request = request;
      return options.fail({ errMsg: 'request:fail timeout' });
    },
  });
};

// --- What is deleted.

checks(openPhone, {
  'the user, the profile, the phone number and the sessions are deleted': [[save({ nickName: '小明' }), bind, async (phone) => {
    const others = [await openPhone({ user: phone.user }), await openPhone({ user: phone.user })];
    const stranger = await openPhone();
    const sent = watch(phone.wx, 'request');
    phone.seen.requests.length = 0;
    assert.equal(await deleteAccount(phone), undefined);
    const [{ method, url, header, data }] = sent;
    assert.deepEqual([method, new URL(url).pathname, data], ['POST', '/deleteAccount', { confirm: 'delete' }]);
    assert.ok(header.Authorization === 'Bearer ' + phone.token && !JSON.stringify(kept(phone)).includes(phone.token));
    for (const each of [phone, ...others]) await ended(each);
    await stillWorks(stranger);
  }, isGone], { requests: [DELETE], logins: 0, loggedOut: true }],
  'the user\'s next login makes a new account, and keeps it': [
    [deleteAccount, logInAsNew, endNewSession, ask, relaunch, logInSilently],
    { requests: [DELETE, LOGIN, 'GET /userInfo 401', LOGIN, GET_USER, GET_USER], logins: 2, token: 'new' }],
  'a second call finds the phone logged out': [[deleteAccount, deleteAccount],
    { fails: LOGGED_OUT, requests: [DELETE], loggedOut: true }],
  'two calls at once are one': [times(2, deleteAccount), { requests: [DELETE], logins: 0, loggedOut: true }],
  'the next launch is logged out too': [[deleteAccount, relaunch, failing(logInSilently, LOGGED_OUT)],
    { requests: [DELETE], logins: 0, loggedOut: true }],
  'a later logout sends nothing, and makes no account to log out': [
    [deleteAccount, logOut, logOutEverywhere, relaunch, logOutEverywhere], { requests: [DELETE], logins: 0, loggedOut: true }],
});

check('a phone without a session logs in for that', newPhone, [deleteAccount, isGone],
  { requests: [LOGIN, DELETE], logins: 1, loggedOut: true });

// --- A fresh login at the same time makes no account that stays.

const freshSilently = ({ client }) => client.login({ fresh: true, silent: true });

/** deleteMeanwhile begins a deletion while the answer to the login is held, or the login itself. */
const deleteMeanwhile = (hold) => async (phone) => {
  let deletion;
  await hold('/onLogin', logInFresh, () => { deletion = deleteAccount(phone); })(phone);
  await deletion;
};

checks(openPhone, {
  'a deletion waits for a fresh login whose answer is on the way': [[deleteMeanwhile(whileAnswer), ended, isGone],
    { requests: [LOGIN, DELETE], logins: 1, loggedOut: true }],
  'a deletion waits for a fresh login that has not arrived': [[deleteMeanwhile(whileRequest), ended, isGone],
    { requests: [LOGIN, DELETE], logins: 1, loggedOut: true }],
  'a silent fresh login during a deletion is refused': [[async (phone) => {
    let fresh;
    await whileRequest('/deleteAccount', deleteAccount, () => { fresh = failing(freshSilently, LOGGED_OUT)(phone); })(phone);
    await fresh;
  }, isGone], { requests: [DELETE], logins: 0, loggedOut: true }],
  'a fresh login after a deletion makes a new account': [[deleteAccount, failing(freshSilently, LOGGED_OUT), logInFresh],
    { gives: { ...NOTHING_KNOWN, isNewUser: true }, requests: [DELETE, LOGIN], logins: 1, token: 'new' }],
});

// --- Sessions that are too old, or not there any more.

checks(openPhone, {
  'a session that is too old is replaced by a login, and the request is repeated': [[
    answering('POST /deleteAccount', STALE, null), async (phone) => {
      const sent = watch(phone.wx, 'request');
      await deleteAccount(phone);
      assert.ok(sent[0].header.Authorization !== sent[2].header.Authorization);
      await ended(phone);
    }, isGone], { requests: [REFUSED, LOGIN, DELETE], logins: 1, loggedOut: true }],
  'that is tried once': [[answering('POST /deleteAccount', STALE), deleteAccount], {
    fails: { status: 401, code: 'stale_session', action: 'relogin' }, requests: [REFUSED, LOGIN, REFUSED], logins: 1, token: 'new',
  }],
  'two calls at once log in once': [[answering('POST /deleteAccount', STALE, null), times(2, deleteAccount)],
    { requests: [REFUSED, LOGIN, DELETE], logins: 1, loggedOut: true }],
  'a login that fails is reported, and the account stays': [[
    answering('POST /deleteAccount', STALE), answering('POST /onLogin', BLOCKED),
    failing(deleteAccount, { status: 403, code: 'user_blocked' }), comeBack, isStillThere, ask,
  ], { logins: 2, token: 'new' }],
  'a session that has ended is replaced': [[endSession, deleteAccount, isGone],
    { requests: [REFUSED, LOGIN, DELETE], logins: 1, loggedOut: true }],
  'of an account that was deleted elsewhere nothing is left, nor of the one that the login made': [
    [deleteElsewhere, deleteAccount, isGone], { requests: [REFUSED, LOGIN, DELETE], logins: 1, loggedOut: true }],
});

// --- What goes wrong.

checks(openPhone, {
  'without a network the account stays, and the user logged in': [[
    goAway, failing(deleteAccount, { status: 0, code: 'network' }), comeBack, ask, isStillThere, relaunch, logInSilently,
    deleteAccount, isGone,
  ], { requests: [GET_USER, GET_USER, DELETE], logins: 0, loggedOut: true }],
  'a busy server is asked once more after its time': [[answering('POST /deleteAccount', BUSY, null), deleteAccount, isGone],
    { requests: ['POST /deleteAccount 503', DELETE], logins: 0, waits: [2], loggedOut: true }],
  'a server that stays busy is reported': [
    [answering('POST /deleteAccount', BUSY), failing(deleteAccount, { code: 'storage_unavailable' }), ask],
    { requests: ['POST /deleteAccount 503', 'POST /deleteAccount 503', GET_USER], waits: [2], token: 'same' }],
  'a user who is blocked stays, and later logins need no question': [[
    goAway, failing(deleteAccount, { code: 'network' }), comeBack, // from when on the account may be gone, until that answer
    answering('POST /deleteAccount', BLOCKED), failing(deleteAccount, { status: 403, code: 'user_blocked', action: 'none' }), ask,
    endSession, ask,
  ], { logins: 1, token: 'new' }],
});

for (const [status, ...answer] of [BROKEN, [502, '<html>Bad Gateway</html>'], [200, '<html>Welcome to our hotel</html>']]) {
  check(`an answer ${status} ${JSON.stringify(answer[0])} to a deletion leaves the user logged in`, openPhone,
    [answering('POST /deleteAccount', [status, ...answer]), failing(deleteAccount, { status }), comeBack, ask],
    { requests: [`POST /deleteAccount ${status}`, GET_USER], logins: 0, token: 'same' });
}

// The account is gone, and the phone does not know.
const lost = [loseSuccess('/deleteAccount'), failing(deleteAccount, { status: 0, code: 'network' }), ended];
const REFUSED_REQUEST = [DELETE, 'GET /userInfo 401'];

checks(openPhone, {
  'after an answer that got lost, the next call ends well': [[...lost, deleteAccount, isGone],
    { requests: [DELETE, REFUSED, LOGIN, DELETE], logins: 1, loggedOut: true }],
  'after an answer that got lost, neither a request nor a silent login makes a new account': [
    [...lost, failing(ask, LOGGED_OUT), failing(logInSilently, LOGGED_OUT), isGone],
    { requests: REFUSED_REQUEST, logins: 0, loggedOut: true }],
  'after an answer that got lost, the next launch makes no new account': [
    [...lost, relaunch, failing(logInSilently, LOGGED_OUT), isGone], { requests: REFUSED_REQUEST, logins: 0, loggedOut: true }],
  'after an answer that got lost, a logout everywhere makes no new account': [
    [...lost, failing(logOutEverywhere, { status: 401 }), isGone],
    { requests: [DELETE, 'POST /logout 401'], logins: 0, loggedOut: true }],
  'after two answers that got lost, nothing is left all the same': [[
    ...lost, loseSuccess('/deleteAccount'), failing(deleteAccount, { code: 'network' }), failing(ask, LOGGED_OUT), isGone,
  ], { logins: 1, loggedOut: true }],
  'after an answer that got lost and a login that fails, no new account is made': [[
    ...lost, answering('POST /onLogin', BLOCKED), failing(deleteAccount, { code: 'user_blocked' }), comeBack,
    failing(ask, LOGGED_OUT), isGone,
  ], { logins: 1, loggedOut: true }],
  'after an answer that got lost, the user\'s login makes a new account, and keeps it': [
    [...lost, logInAsNew, endNewSession, ask], { logins: 2, token: 'new' }],
});

for (const deleted of ['yes', 1, null, {}, false]) {
  check(`a record with deleted: ${JSON.stringify(deleted)} is of no deletion`, planted({ deleted }), ask,
    { requests: ['GET /userInfo 401', LOGIN, GET_USER], token: 'new' });
}

check('a storage that cannot be written does not prevent a deletion', openPhone, [({ wx }) => {
  wx.setStorageSync = () => { throw new Error('setStorageSync:fail exceed storage max size'); };
}, relaunch, deleteAccount, failing(ask, LOGGED_OUT), isGone], { requests: [DELETE], logins: 0 });

// --- Beside other calls.

/** answered waits until the phone has got this many answers, and the client has read them. */
const answered = (count) => async ({ seen }) => {
  do await new Promise(setImmediate); while (seen.requests.length < count);
  await new Promise(setImmediate);
};

/** whileDeleted begins a call when the account is gone and the phone, which gets count answers to the call, does not know yet. */
const whileDeleted = (begin, count = 0) => async (phone) => {
  let call;
  await whileAnswer('/deleteAccount', deleteAccount, async () => {
    call = begin(phone).then((value) => () => value, (problem) => () => { throw problem; });
    await answered(count)(phone);
  })(phone);
  return (await call)();
};

/** whileRefused begins a call while a deletion is under way that the server refuses. */
const whileRefused = (begin, count = 0) => [
  answering('POST /deleteAccount', BLOCKED),
  whileRequest('/deleteAccount', failing(deleteAccount, { code: 'user_blocked' }), (phone) => {
    phone.call = begin(phone);
    return answered(count)(phone);
  }),
  ({ call }) => call,
];

checks(openPhone, {
  'a request that a deletion overtakes makes no new account': [
    [failing(whileRequest('/userInfo', ask, deleteAccount), LOGGED_OUT), isGone],
    { requests: REFUSED_REQUEST, logins: 0, loggedOut: true }],
  'a request that is refused before the deletion is answered makes no new account': [
    [failing(whileDeleted(ask, 1), LOGGED_OUT), isGone],
    { requests: ['GET /userInfo 401', DELETE], logins: 0, loggedOut: true }],
  'a request that is refused after a relogin, before the deletion is answered, makes none either': [[
    endSession, failing(whileAnswer('/onLogin', ask, (phone) => {
      whileRequest('/userInfo', () => {}, () => new Promise((refuse) => {
        whileAnswer('/deleteAccount', deleteAccount, () => { refuse(); return answered(3)(phone); })(phone);
      }))(phone);
    }), LOGGED_OUT), isGone,
  ], { requests: ['GET /userInfo 401', LOGIN, 'GET /userInfo 401', DELETE], logins: 1, loggedOut: true }],
  'a save of two requests ends between them': [[async (phone) => {
    const { avatarUrl: avatarFile } = await phone.device.chooseAvatar();
    await assert.rejects(whileAnswer('/updateUserInfo', save({ nickName: '小明', avatarFile }), deleteAccount)(phone), LOGGED_OUT);
  }, isGone], { logins: 0, loggedOut: true }],
  'a deletion and a request with a session that has ended share a login': [[endSession, async (phone) => {
    const ends = await Promise.allSettled([ask(phone), deleteAccount(phone)]);
    assert.equal(ends[1].status, 'fulfilled');
    if (ends[0].reason) assert.equal(ends[0].reason.code, 'logged_out'); // it depends on which request arrives first
  }, isGone], { logins: 1, loggedOut: true }],
  'a request goes on if the deletion fails': [[endSession, ...whileRefused(ask, 1)],
    { requests: ['GET /userInfo 401', 'POST /deleteAccount 403', LOGIN, GET_USER], token: 'new' }],
  'a login under way goes on if the deletion fails': [[endSession, answering('POST /deleteAccount', BLOCKED), async (phone) => {
    let deletion;
    const login = whileRequest('/userInfo', logIn, () => new Promise((refuse) => {
      deletion = whileRequest('/deleteAccount', failing(deleteAccount, { code: 'user_blocked' }), () => {
        refuse();
        return answered(1)(phone);
      })(phone);
    }))(phone);
    assert.equal((await login).isNewUser, false);
    await deletion;
  }], { requests: ['GET /userInfo 401', 'POST /deleteAccount 403', LOGIN], token: 'new' }],
  'a login meanwhile makes a new account afterwards': [async (phone) => {
    assert.equal((await whileDeleted(logIn)(phone)).isNewUser, true);
  }, { requests: [DELETE, LOGIN], token: 'new' }],
  'a login meanwhile goes on if the deletion fails': [whileRefused(logIn),
    { requests: ['POST /deleteAccount 403', GET_USER], logins: 0, token: 'same' }],
  'a silent login meanwhile makes no new account': [[failing(whileDeleted(logInSilently), LOGGED_OUT), isGone],
    { requests: [DELETE], loggedOut: true }],
  'a login that a deletion overtakes makes no new account': [
    [failing(whileRequest('/userInfo', logIn, deleteAccount), LOGGED_OUT), isGone],
    { requests: REFUSED_REQUEST, logins: 0, loggedOut: true }],
  'a logout meanwhile has nothing left to do': [[whileDeleted(logOut), isGone], { requests: [DELETE], loggedOut: true }],
  'a logout everywhere meanwhile has nothing left to do': [[whileDeleted(logOutEverywhere), isGone],
    { requests: [DELETE], logins: 0, loggedOut: true }],
  'a logout meanwhile logs out if the deletion fails': [[...whileRefused(logOut), ended, isStillThere],
    { requests: ['POST /deleteAccount 403', LOGOUT], loggedOut: true }],
  'a deletion during a logout is refused': [[whileRequest('/logout', logOut, failing(deleteAccount, LOGGED_OUT)), isStillThere],
    { requests: [LOGOUT], loggedOut: true }],
});

checks(newPhone, {
  'a request during the login of a deletion sends nothing': [[async (phone) => {
    const ends = await Promise.allSettled([deleteAccount(phone), ask(phone)]);
    assert.deepEqual(ends.map(({ reason }) => reason?.code), [undefined, 'logged_out']);
  }, isGone], { requests: [LOGIN, DELETE], logins: 1, loggedOut: true }],
  'a deletion during the first login of all waits for it': [[async (phone) => {
    let deleted;
    assert.ok((await whileAnswer('/onLogin', logIn, () => { deleted = deleteAccount(phone); })(phone)).isNewUser);
    await deleted;
  }, isGone], { requests: [LOGIN, DELETE], logins: 1, loggedOut: true }],
  'a logout during the login of a deletion deletes first': [[async (phone) => {
    let left;
    await whileAnswer('/onLogin', deleteAccount, () => { left = logOutEverywhere(phone); })(phone);
    await left;
  }, isGone], { requests: [LOGIN, DELETE], logins: 1, loggedOut: true }],
});

// --- unbindPhone.

const NO_NUMBER = { phoneNumber: '', countryCode: '' };

checks(openPhone, {
  'a number that is unbound is not known any more, and can be bound again': [async (phone) => {
    const { phoneNumber } = await bind(phone);
    const sent = watch(phone.wx, 'request');
    assert.deepEqual(await unbind(phone), NO_NUMBER);
    assert.deepEqual([sent[0].method, sent[0].data], ['POST', {}]);
    assert.ok(sent[0].header.Authorization === 'Bearer ' + phone.token);
    for (const each of [phone, newPhone({ user: phone.user })]) assert.equal((await logIn(each)).phoneNumber, '');
    assert.equal((await bind(phone)).phoneNumber, phoneNumber);
  }, { requests: [BIND, UNBIND, GET_USER, BIND], token: 'same' }],
  'the profile stays': [[save({ nickName: '小明' }), bind, unbind, async (phone) => {
    assert.equal((await logIn(phone)).userInfo.nickName, '小明');
  }]],
  'without a number there is nothing to do': [unbind, { gives: NO_NUMBER, requests: [UNBIND] }],
  'two calls at once to unbind do no harm': [[bind, times(2, giving(unbind, NO_NUMBER))],
    { requests: [BIND, UNBIND, UNBIND], logins: 0 }],
  'a session that has ended is replaced to unbind': [[endSession, unbind],
    { gives: NO_NUMBER, requests: ['POST /unbindPhone 401', LOGIN, UNBIND], logins: 1, token: 'new' }],
  'without a network the number stays': [[
    bind, goAway, failing(unbind, { status: 0, code: 'network' }), comeBack,
    async (phone) => assert.match((await logIn(phone)).phoneNumber, /\*/),
  ], { token: 'same' }],
  'an answer that got lost is made good by the next call': [
    [bind, loseSuccess('/unbindPhone'), failing(unbind, { code: 'network' }), giving(unbind, NO_NUMBER)], { token: 'same' }],
  'a busy server is asked to unbind once more': [[answering('POST /unbindPhone', BUSY, null), unbind],
    { gives: NO_NUMBER, waits: [2] }],
  'a server error is reported': [[answering('POST /unbindPhone', BROKEN), unbind],
    { fails: { status: 500, code: 'internal' }, token: 'same' }],
  'a user who is blocked keeps the number': [[bind, answering('POST /unbindPhone', BLOCKED), unbind],
    { fails: { status: 403, code: 'user_blocked' }, logins: 0, token: 'same' }],
  'a logout that is faster than the request to unbind refuses it': [whileRequest('/unbindPhone', unbind, logOut),
    { fails: LOGGED_OUT, loggedOut: true }],
  'beside a request and a login, one login is enough': [[endSession, atOnce(unbind, ask, logIn)], { logins: 1, token: 'new' }],
});

check('a phone without a session logs in to unbind', newPhone, unbind,
  { gives: NO_NUMBER, requests: [LOGIN, UNBIND], logins: 1 });
