// Sessions from both sides: what the phone keeps of one, and what the server says about its token. And the form of most tests:
// a phone, steps, and what is expected.

const assert = require('node:assert/strict');
const test = require('node:test');
const { stopClock } = require('./clock.js');
const { server, PICTURE, takePhone, launch } = require('./phone.js');

const KEY = 'wxlogin'; // in storage
const WEEK = 7 * 24 * 3600; // seconds: the server's lifetime of a token without use
const UNKNOWN_TOKEN = 'A'.repeat(43); // well formed, but not issued by the server
const SHOP = 'https://shop.example.com'; // a service of the mini-program's own
const SECOND_APP = 'wx000000000001demo';

const USER_INFO = { url: '/userInfo' };
const NOTHING_KNOWN = {
  profileComplete: false, phoneNumber: '',
  userInfo: { nickName: '', avatarUrl: '', gender: 0, country: '', province: '', city: '', language: '' },
};
const NOT_OURS = { code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 }; // what an answer of a proxy is

const LOGIN = 'POST /onLogin 200';
const GET_USER = 'GET /userInfo 200';
const UPDATE = 'POST /updateUserInfo 200';
const UPLOAD = 'POST /uploadAvatar 200';
const BIND = 'POST /bindPhone 200';
const UNBIND = 'POST /unbindPhone 200';
const LOGOUT = 'POST /logout 200';
const DELETE = 'POST /deleteAccount 200';

const LOGGED_OUT = { status: 0, code: 'logged_out', action: 'none', retryAfter: 0 };

/** newPhone returns a new phone with its client. */
function newPhone(options, changes) {
  const phone = takePhone(options);
  return { ...phone, client: launch(phone, changes) };
}

/** openPhone returns a phone that has logged in, with the token. What it did for that is not in seen. */
async function openPhone(options, changes) {
  const phone = newPhone(options, changes);
  await enter(phone);
  return phone;
}

/** enter makes an open phone of a new one. */
async function enter(phone) {
  await phone.client.login();
  Object.assign(phone.seen, { requests: [], logins: 0 });
  phone.token = tokenOf(phone);
}

/** shopPhone is openPhone, with a service that gives these answers to order. */
const shopPhone = (...answers) => async () => {
  const phone = await openPhone({}, { services: [SHOP] });
  phone.net.answer('GET /orders', ...answers);
  return phone;
};

// --- Steps: what a test does, with its phone.

const logIn = ({ client }) => client.login();
const logInSilently = ({ client }) => client.login({ silent: true });
const logInFresh = ({ client }) => client.login({ fresh: true });
const ask = ({ client }) => client.request(USER_INFO);
const update = ({ client }) => client.updateUserInfo();
const save = (given) => ({ client }) => client.saveProfile(given);
const bind = (detail) => ({ client }) => client.bindPhone(detail);
const unbind = ({ client }) => client.unbindPhone();
const logOut = ({ client }) => client.logout();
const logOutEverywhere = ({ client }) => client.logout({ everywhere: true });
const deleteAccount = ({ client }) => client.deleteAccount();
const upload = ({ client }) => client.uploadFile({ url: '/uploadAvatar', filePath: PICTURE, name: 'file' });
const download = ({ client }) => client.downloadFile(USER_INFO);
const takeToken = ({ client }) => client.token();
const order = ({ client }) => client.request({ url: SHOP + '/orders' });

/** CALLS is every kind of call, with what the server would not take. */
const CALLS = {
  login: logIn,
  'login, silent': logInSilently,
  'login, fresh': logInFresh,
  request: ask,
  updateUserInfo: update,
  'saveProfile, of a name': save({ nickName: '小明' }),
  'saveProfile, of a picture': save({ avatarFile: PICTURE }),
  bindPhone: bind({ code: 'a code' }),
  unbindPhone: unbind,
  uploadFile: upload,
  downloadFile: download,
  token: takeToken,
  deleteAccount,
  logout: logOut,
  'logout everywhere': logOutEverywhere,
};

const endSession = ({ token }) => end(token);
const ended = async ({ token }) => assert.ok(!(await works(token)));
const stillWorks = async ({ token }) => assert.ok(await works(token));
const goAway = ({ net }) => { net.away = true; };
const comeBack = ({ net }) => { net.away = false; net.clear(); };
const relaunch = (phone) => { phone.client = launch(phone); };
const stop = (phone, t) => { phone.clock = stopClock(t); };
const pass = (seconds) => ({ clock }) => clock.pass(seconds);
const answering = (request, ...answers) => ({ net }) => net.answer(request, ...answers);
const failing = (step, problem) => (phone) => assert.rejects(step(phone), problem);
const giving = (step, value) => async (phone) => assert.deepEqual(await step(phone), value);
const atOnce = (...steps) => (phone) => Promise.all(steps.map((step) => step(phone)));
const times = (n, step) => atOnce(...Array(n).fill(step));
const whileHeld = (what) => (path, begin, step) => (phone) => (
  phone.net.whileHeld(what, path, () => begin(phone), () => step(phone)));
const whileRequest = whileHeld('request');
const whileAnswer = whileHeld('answer');

/**
 * check is a test with a phone of its own, which take makes, and steps, one after the other. What is expected:
 * gives, fails: how the last step ends. requests: what was answered. logins: calls of wx.login. waits: the client's, in
 * seconds; none unless given. token: '' none, 'same' as at the beginning, or 'new' and good. loggedOut: that every call but
 * login() is refused without a request. Two logins are never under way at once.
 */
function check(name, take, steps, expected = {}) {
  test(name, async (t) => {
    const phone = await take();
    const run = async () => {
      let value;
      for (const step of [steps].flat()) value = await step(phone, t);
      return value;
    };
    if (expected.fails) await assert.rejects(run(), expected.fails);
    else if ('gives' in expected) assert.deepEqual(await run(), expected.gives);
    else await run();
    await assertSeen(phone, expected);
  });
}

/** checks is check for a table of [steps, expected] by name. */
function checks(take, table) {
  for (const [name, [steps, expected]] of Object.entries(table)) check(name, take, steps, expected);
}

async function assertSeen(phone, { requests, logins, waits = [], token, loggedOut = false }) {
  const { seen, client } = phone;
  if (requests) assert.deepEqual(seen.requests, requests);
  if (logins !== undefined) assert.equal(seen.logins, logins);
  assert.ok(seen.loginsMost <= 1, 'two logins at once');
  assert.deepEqual(client.waits, waits);
  if (token === 'new') assert.ok(tokenOf(phone) !== phone.token && await works(tokenOf(phone)));
  else if (token !== undefined) assert.ok(tokenOf(phone) === (token === 'same' ? phone.token : token));
  if (loggedOut) await assertLoggedOut(phone);
}

async function assertLoggedOut(phone) {
  const before = [phone.seen.requests.length, phone.seen.logins];
  const refused = { ...LOGGED_OUT, message: 'wxlogin: logged_out' };
  const calls = Object.entries(CALLS).filter(([name]) => !/^(login|login, fresh|logout.*)$/.test(name)).map(([, step]) => step);
  for (const step of calls) await assert.rejects(step(phone), refused);
  for (const step of [logInSilently, ask]) await assert.rejects(step({ client: launch(phone) }), refused);
  assert.deepEqual([phone.seen.requests.length, phone.seen.logins], before);
  assert.ok(tokenOf(phone) === '' && kept(phone).loggedOut === true);
}

/** kept returns what the client has stored on a phone, if anything. */
const kept = ({ device }) => device.storage.get(KEY);
const tokenOf = (phone) => kept(phone).token;

/** plant stores what an earlier launch may have left: an unknown token, unless changes say otherwise. */
function plant({ device }, changes = {}) {
  device.storage.set(KEY, {
    server, token: UNKNOWN_TOKEN, expiresAt: Date.now() + WEEK * 1000, lifetime: WEEK, loggedOut: false, ...changes,
  });
}

/** planted returns a phone with such a record, its token, and its client: quicker than openPhone if the server is not to answer. */
const planted = (changes) => () => {
  const phone = { ...newPhone({ loggedIn: true }), token: UNKNOWN_TOKEN };
  plant(phone, changes);
  return phone;
};

/** works asks the server whether a token stands for a session. */
async function works(token) {
  const { status } = await fetch(server + '/userInfo', { headers: { Authorization: 'Bearer ' + token } });
  if (status !== 200 && status !== 401) throw new Error(`/userInfo answers ${status}`);
  return status === 200;
}

/** end ends a token's session without the phone. */
async function end(token) {
  const { status } = await fetch(server + '/logout', { method: 'POST', headers: { Authorization: 'Bearer ' + token } });
  if (status !== 200) throw new Error(`/logout answers ${status}`);
}

module.exports = {
  KEY, WEEK, UNKNOWN_TOKEN, SHOP, SECOND_APP, USER_INFO, NOTHING_KNOWN, NOT_OURS, LOGIN, GET_USER, UPDATE, UPLOAD, BIND, UNBIND,
  LOGOUT, DELETE, LOGGED_OUT, CALLS,
  logIn, logInSilently, logInFresh, ask, update, save, bind, unbind, upload, download, takeToken, order, logOut, logOutEverywhere,
  deleteAccount, endSession, ended, stillWorks, goAway, comeBack, relaunch, stop, pass, answering, failing, giving, atOnce,
  times, whileRequest, whileAnswer, newPhone, openPhone, enter, shopPhone, check, checks, assertSeen, kept, tokenOf, plant, planted, works, end,
};
