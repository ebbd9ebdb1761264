// Client of a wxlogin server. It logs in without a dialog, keeps the token, and where an answer says what would help
// ("action"), does that once and repeats the request.
//
//   wxlogin.setup({ server: 'https://login.example.com' });
//   const { userInfo } = await wxlogin.login();
//
// Everything resolves with the body of an answer whose status is 200, and rejects with an Error that has the fields of
// the server's problem: status, code, action, detail, requestId, and retryAfter in seconds.

const TOKEN_KEY = 'wxlogin.token';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

const options = {
  server: '',
  maxWait: 10, // seconds; a longer Retry-After is not sat out but handed to the caller
  wait: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
};

// setup must come before the other calls; app.js is the place.
function setup(changes) {
  Object.assign(options, changes);
}

let loggingIn = null;

// login is phase one. Calls made while a login is under way share it: several at once would replace each other's
// session_key at WeChat. Resolves with {token, expiresIn, isNewUser, profileComplete, userInfo}.
function login() {
  if (!loggingIn) {
    const over = () => { loggingIn = null; };
    loggingIn = newLogin();
    loggingIn.then(over, over);
  }
  return loggingIn;
}

async function newLogin() {
  // A code works once, so that every attempt takes a new one and "relogin" needs nothing more.
  const answer = await attempt(async () => {
    const { code } = await call('login', {});
    return post('/onLogin', { code });
  }, () => {});
  wx.setStorageSync(TOKEN_KEY, answer.token);
  return answer;
}

// updateUserInfo is phase two: openData is what wx.getUserProfile or wx.getUserInfo gave. Resolves with
// {profileComplete, anonymous, userInfo}. anonymous: WeChat gave its placeholder only, so ask the user with chooseAvatar
// and the nickname input.
function updateUserInfo(openData) {
  const data = {};
  for (const name of ['encryptedData', 'iv', 'rawData', 'signature']) {
    if (openData[name]) data[name] = openData[name]; // wx.request would send the text "undefined"
  }
  return withToken((token) => post('/updateUserInfo', Object.assign({ token }, data)));
}

// request is wx.request with the token. A url that begins with "/" is the wxlogin server's; others must be services
// that may see the token and whose answers carry status too.
function request({ url, method, data, header }) {
  const target = url.startsWith('/') ? options.server + url : url;
  return withToken((token) => call('request', {
    url: target, method, data, header: Object.assign({}, header, { Authorization: 'Bearer ' + token }),
  }));
}

async function withToken(send) {
  let token;
  return attempt(async () => {
    token = wx.getStorageSync(TOKEN_KEY) || (await login()).token;
    return send(token);
  }, () => forget(token));
}

// forget removes the token that was refused, but not a newer one that a parallel request has fetched since.
function forget(token) {
  if (wx.getStorageSync(TOKEN_KEY) === token) wx.removeStorageSync(TOKEN_KEY);
}

// attempt sends until it is answered with success, trying each remedy once.
async function attempt(send, relogin) {
  const tried = {};
  for (;;) {
    const res = await send();
    if (res.data && res.data.status == 200) return res.data;
    const problem = problemOf(res);
    const { action, retryAfter } = problem;
    const helps = action === 'relogin' || (action === 'retry' && retryAfter <= options.maxWait);
    if (!helps || tried[action]) throw problem;
    tried[action] = true;
    await (action === 'relogin' ? relogin() : options.wait(retryAfter));
  }
}

function problemOf(res) {
  const body = res.data && typeof res.data === 'object' ? res.data : {}; // a proxy's error page is a string
  const problem = new Error(body.title || 'HTTP ' + res.statusCode);
  problem.status = res.statusCode;
  problem.code = body.code || 'unknown';
  problem.action = body.action || (res.statusCode === 401 ? 'relogin' : 'none');
  problem.detail = body.detail || '';
  problem.requestId = body.requestId || '';
  problem.retryAfter = Number(headerOf(res, 'retry-after')) || 1;
  return problem;
}

// headerOf finds a header in any case: phones and DevTools differ in it.
function headerOf(res, name) {
  const header = res.header || {};
  return header[Object.keys(header).find((key) => key.toLowerCase() === name)];
}

function post(path, data) {
  return call('request', { url: options.server + path, method: 'POST', header: FORM, data });
}

// call makes a promise of a wx call. Its failure is the phone's or the network's, not an answer.
function call(name, args) {
  return new Promise((resolve, reject) => {
    wx[name](Object.assign({}, args, {
      success: resolve,
      fail: ({ errMsg }) => reject(Object.assign(new Error(errMsg), { status: 0, code: 'network', action: 'none' })),
    }));
  });
}

module.exports = { setup, login, updateUserInfo, request };
