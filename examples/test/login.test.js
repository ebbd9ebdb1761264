// login(): what it sends, what it shares, and what a failure means for the next one.

const assert = require('node:assert/strict');
const test = require('node:test');
const { server, takePhone, load, launch, watch, answerWith } = require('./phone.js');
const {
  KEY, NOTHING_KNOWN, LOGIN, GET_USER, UPDATE, UPLOAD, BIND, UNKNOWN_TOKEN, SECOND_APP, CALLS, logIn, logInSilently, logInFresh, ask,
  update, save, bind, endSession, stillWorks, goAway, comeBack, answering, failing, atOnce, times, whileAnswer, newPhone, openPhone,
  planted, check, checks, assertSeen, kept, tokenOf, works,
} = require('./session.js');

checks(newPhone, {
  'a first login knows nothing of the user yet': [async (phone) => {
    assert.deepEqual(await logIn(phone), { ...NOTHING_KNOWN, isNewUser: true });
    assert.ok(await works(tokenOf(phone)));
  }, { requests: [LOGIN], logins: 1 }],
  'twenty logins at once are one, with one answer': [[async (phone) => {
    const answers = await times(20, logIn)(phone);
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.deepEqual(phone.seen.requests, [LOGIN]);
  }, times(20, logIn)], { requests: [LOGIN, GET_USER], logins: 1 }],
  'a login that failed does not stand in the way of the next': [[
    goAway,
    times(3, failing(logIn, { message: 'wxlogin: network', status: 0, code: 'network', action: 'none', retryAfter: 0 })),
    (phone) => assert.deepEqual([phone.seen.logins, kept(phone)], [1, undefined]),
    comeBack, logIn,
  ], { requests: [LOGIN], token: 'new' }],
  'a wx.login without a code is reported, and nothing is sent': [[
    ({ wx }) => answerWith(wx, 'login', { errMsg: 'login:ok', code: '' }), logIn,
  ], { fails: { status: 0, code: 'unknown', detail: 'wx.login gave no code.' }, requests: [] }],
  'a wx.login that fails is reported, to a request too, and the next login goes well': [async (phone) => {
    const { login } = phone.wx;
    phone.wx.login = ({ fail }) => fail({ errMsg: 'login:fail auth deny' });
    for (const step of [ask, logIn]) {
      await assert.rejects(step(phone), { status: 0, code: 'network', action: 'none', detail: 'login:fail auth deny' });
    }
    phone.wx.login = login;
    await logIn(phone);
  }, { requests: [LOGIN] }],
});

checks(openPhone, {
  'a login with a token that works asks for the profile, and for no code': [async (phone) => {
    for (const step of [logIn, logInSilently]) assert.deepEqual(await step(phone), { ...NOTHING_KNOWN, isNewUser: false });
  }, { requests: [GET_USER, GET_USER], logins: 0 }],
  'a token that the server has ended is replaced by one login': [[endSession, logIn],
    { gives: { ...NOTHING_KNOWN, isNewUser: false }, requests: ['GET /userInfo 401', LOGIN], token: 'new' }],
  'twenty logins at once with a token that has ended are one relogin': [[endSession, times(20, logIn)],
    { requests: ['GET /userInfo 401', LOGIN] }],
  'a network that fails costs no token': [[goAway, failing(logIn, { code: 'network' }), comeBack, logIn],
    { requests: [GET_USER], token: 'same' }],
});

test('the profile is sent once, and known to a login on the next phone', async () => {
  const { user, client } = await openPhone();
  const { userInfo } = await client.updateUserInfo();
  assert.equal(userInfo.nickName, user);
  const next = newPhone({ user });
  assert.deepEqual(await logIn(next), { isNewUser: false, profileComplete: true, phoneNumber: '', userInfo });
  await assertSeen(next, { requests: [LOGIN] });
});

// Whichever call comes first: there is one login, and everything that needs a token waits for it.
for (const first of ['login', 'request', 'updateUserInfo', 'saveProfile', 'bindPhone']) {
  check(`calls of every kind at once share one login, ${first} first`, newPhone, async (phone) => {
    const { avatarUrl: avatarFile } = await phone.device.chooseAvatar();
    const { [first]: begin, ...rest } = {
      login: logIn, request: ask, updateUserInfo: update, saveProfile: save({ nickName: '小明', avatarFile }),
      bindPhone: bind(await phone.device.getPhoneNumber()),
    };
    await Promise.all([begin, ...Object.values(rest)].map((step) => step(phone)));
    const [login, ...others] = phone.seen.requests;
    assert.deepEqual([login, ...others.sort()], [LOGIN, GET_USER, BIND, UPDATE, UPDATE, UPLOAD]);
  }, { logins: 1 });
}

check('a late refusal of the token at a login costs no second one', planted(), async (phone) => {
  assert.equal((await whileAnswer('/userInfo', logIn, ask)(phone)).isNewUser, false);
}, { requests: ['GET /userInfo 401', LOGIN, GET_USER, 'GET /userInfo 401', GET_USER], logins: 1 });

check('a token belongs to the server that gave it, even if setup names another one meanwhile', () => (
  newPhone({}, { server: 'https://other.example.com' })
), [
  answering('POST /onLogin', [200, { token: UNKNOWN_TOKEN, expiresIn: 3600 }]),
  whileAnswer('/onLogin', logIn, ({ client }) => client.setup({ server })), comeBack, ask,
], { requests: [LOGIN, LOGIN, GET_USER] });

// --- Fresh: the server gets the present session_key, whatever token there is.

const freshSilently = ({ client }) => client.login({ fresh: true, silent: true });
const newKey = ({ device }) => device.replaceSessionKey();
const BUSY = [503, { code: 'wechat_unavailable', action: 'retry' }, { 'Retry-After': '60' }];

checks(openPhone, {
  'a fresh login replaces a token that works': [[logInFresh, stillWorks, ask],
    { requests: [LOGIN, GET_USER], logins: 1, token: 'new' }],
  'a fresh login gives what a login does': [logInFresh,
    { gives: { ...NOTHING_KNOWN, isNewUser: false }, requests: [LOGIN], token: 'new' }],
  'twenty fresh logins at once are one, silent or not': [atOnce(times(10, logInFresh), times(10, freshSilently)),
    { requests: [LOGIN], logins: 1, token: 'new' }],
  'one after another are two': [[logInFresh, freshSilently], { requests: [LOGIN, LOGIN], logins: 2, token: 'new' }],
  'a fresh login shares the relogin of a request': [[endSession, async (phone) => {
    let fresh;
    await whileAnswer('/onLogin', ask, () => { fresh = logInFresh(phone); })(phone);
    assert.equal((await fresh).isNewUser, false);
  }], { requests: ['GET /userInfo 401', LOGIN, GET_USER], logins: 1, token: 'new' }],
  'a fresh login does not share a login that keeps its token': [whileAnswer('/userInfo', logIn, logInFresh),
    { gives: { ...NOTHING_KNOWN, isNewUser: false }, requests: [LOGIN, GET_USER], logins: 1, token: 'new' }],
  'requests and logins meanwhile go on with the token that is kept': [whileAnswer('/onLogin', logInFresh, atOnce(ask, logIn)),
    { requests: [GET_USER, GET_USER, LOGIN], logins: 1, token: 'new' }],
  'a late answer to the old token does not bring it back': [whileAnswer('/userInfo', ask, logInFresh), { logins: 1, token: 'new' }],
  'a refusal of the old token costs no other login': [[endSession, whileAnswer('/userInfo', ask, logInFresh)],
    { requests: [LOGIN, 'GET /userInfo 401', GET_USER], logins: 1, token: 'new' }],
  'a fresh login that fails costs no token': [[goAway, failing(logInFresh, { code: 'network' }), comeBack, ask],
    { requests: [GET_USER], logins: 1, token: 'same' }],
  'a server that says when to come again is not asked before': [[
    answering('POST /onLogin', BUSY), failing(logInFresh, { code: 'wechat_unavailable' }), failing(logInFresh, { code: 'wechat_unavailable' }),
    ask,
  ], { requests: ['POST /onLogin 503', GET_USER], logins: 1, token: 'same' }],
  'after it, data under a new session_key needs no other login': [[newKey, logInFresh, update], { requests: [LOGIN, UPDATE], logins: 1 }],
});

check('a fresh login on a phone without a token is a login', newPhone, logInFresh,
  { gives: { ...NOTHING_KNOWN, isNewUser: true }, requests: [LOGIN], logins: 1 });

// --- The appid.

for (const [kind, getAccountInfoSync, appid] of [
  ['that lacks the call', undefined],
  ['whose call fails', () => { throw new Error('getAccountInfoSync:fail'); }],
  ['that says nothing', () => ({})],
  ['that knows no appid', () => ({ miniProgram: { appId: '' } })],
  ['that knows the appid', () => ({ miniProgram: { appId: SECOND_APP } }), SECOND_APP],
]) {
  check(`a phone ${kind} ${appid ? 'sends it with the code' : 'leaves the appid to the server'}`, () => newPhone({ appId: appid }),
    async (phone) => {
      phone.wx.getAccountInfoSync = getAccountInfoSync;
      const sent = watch(phone.wx, 'request');
      await logIn(phone);
      const { code, ...rest } = sent[0].data;
      assert.deepEqual([typeof code, rest], ['string', appid ? { appid } : {}]);
    });
}

check('a code of another mini-program than the server\'s first is tried twice', () => newPhone({ appId: SECOND_APP }), [
  ({ wx }) => { wx.getAccountInfoSync = undefined; }, logIn,
], {
  fails: { status: 400, code: 'invalid_code', action: 'relogin' }, requests: ['POST /onLogin 400', 'POST /onLogin 400'], logins: 2,
});

check('each mini-program of a person has a session of its own', newPhone, async (phone) => {
  const other = newPhone({ user: phone.user, appId: SECOND_APP });
  for (const each of [phone, other]) assert.ok((await logIn(each)).isNewUser);
  assert.ok(tokenOf(phone) !== tokenOf(other));
});

// --- The server's address.

test('without setup nothing is sent, and the promise says why', async () => {
  const phone = takePhone();
  const client = load(phone);
  for (const [name, step] of Object.entries(CALLS)) {
    if (name !== 'logout') await assert.rejects(step({ client }), {
      name: 'WxloginProblem', status: 0, code: 'not_set_up', action: 'none',
      message: 'wxlogin: wxlogin.setup({ server }) must come first.',
    });
  }
  await assert.rejects(client.request({ url: 'https://api.example.com/' }), { code: 'foreign_url' });
  assert.deepEqual(phone.seen.requests, []);
});

check('slashes at the end of the server\'s address do not matter', () => newPhone({}, { server: server + '//' }), [
  logIn, (phone) => launch(phone).login(), ({ device }) => assert.ok(device.storage.has(KEY)),
], { requests: [LOGIN, GET_USER] });
