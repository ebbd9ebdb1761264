// Client of a wxlogin server, version 1.0.0. Install the package, or copy this file into your mini-program's utils/, and use it so:
//
//   const wxlogin = require('./utils/wxlogin.js');
//   wxlogin.setup({ server: 'https://login.example.com' });   // once, in app.js
//   await wxlogin.login({ silent: true });                    // in onLaunch and onShow: after a logout it rejects
//   await wxlogin.login();                                    // behind a button: it ends a logout
//   await wxlogin.login({ fresh: true });                     // if WeChat has replaced the session_key
//   const body = await wxlogin.request({ url: '/userInfo' }); // with the token
//   await wxlogin.uploadFile({ url, filePath, name: 'file' }); // likewise; and downloadFile
//   const token = await wxlogin.token();                      // for what is no request, such as a socket
//   wxlogin.onChange(({ loggedIn }) => {});                   // after each login and logout
//
// No form of login() shows a dialog. The client never has two logins under way, keeps the token with its expiry,
// and does what the server's answers advise (their "action"): "relogin" and "retry" once each for a call. Everything that
// can fail returns a promise, which always settles, even if WeChat never calls back, and rejects with a Problem.

'use strict';

// --- Which URLs the token may go to.

/** @param {string} url */
function withoutSlash(url) {
  return url.replace(/\/+$/, '');
}

const STEP_BACK = /(^|[/\\])(\.|%2e){1,2}([/\\?#]|$)/i; // ".." and the like, which lead out of a folder

/**
 * isBelow compares whole hosts and folders: https://api.example.com.evil is not below https://api.example.com.
 * @param {string} url
 * @param {string} base
 */
function isBelow(url, base) {
  const rest = url.slice(base.length);
  return base !== '' && url.startsWith(base) && /^($|[/?#])/.test(rest) && !STEP_BACK.test(rest);
}

// --- What outside data is made of: a value of another type than expected counts as none.

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (err) {
    return text;
  }
}

/**
 * recordOf is what can be asked for fields: the value, or, if that is no object, one without any.
 * @param {any} value
 * @returns {Record<string, any>}
 */
function recordOf(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

/** @param {any} value @returns {value is string} */
function isText(value) {
  return typeof value === 'string';
}

/** @param {any} value */
function textOf(value) {
  return isText(value) ? value : '';
}

/**
 * defined leaves out what is undefined: wx.request would send the text "undefined".
 * @param {Record<string, string | undefined>} fields
 */
function defined(fields) {
  /** @type {Record<string, string | undefined>} */
  const given = {};
  for (const name of Object.keys(fields)) {
    if (fields[name] !== undefined) given[name] = fields[name];
  }
  return given;
}

/** @param {Promise<any> | null} promise */
function settled(promise) {
  return Promise.resolve(promise).then(() => {}, () => {});
}

// --- What setup sets.


/**
 * @typedef {object} Options
 * @property {string} server base URL of the wxlogin server
 * @property {string[]} services further base URLs that the token may be sent to. Default: none
 * @property {object | null} platform wx, uni or Taro. Default, or null: the global that is there, in this order
 * @property {number} maxWait seconds; a longer Retry-After is not waited for but handed to the caller. Default: 10
 * @property {number} loginTimeout seconds that wx.login may take. Default: 10
 * @property {number} requestTimeout seconds that a request, an upload or a download may take, if it is given no timeout of
 *   its own. Default: 30; the server answers within 20
 * @property {number} dialogTimeout seconds that wx.getUserInfo may take, which may ask the user. Default: 120
 * @property {(seconds: number) => Promise<void>} wait waits; for tests
 */

/** @type {Options} */
const options = {
  server: '',
  services: [],
  platform: null,
  maxWait: 10,
  loginTimeout: 10,
  requestTimeout: 30,
  dialogTimeout: 120,
  wait: (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); }),
};

/**
 * setup must come before the other calls; app.js is the place. A value of another type than the option's changes nothing.
 * @param {Partial<Options>} changes
 */
function setup(changes) {
  const given = /** @type {any} */ (changes || {});
  const known = /** @type {any} */ (options);
  for (const name of Object.keys(known)) {
    if (isLike(known[name], given[name])) known[name] = given[name];
  }
  options.server = withoutSlash(options.server);
  options.services = options.services.filter(isText).map(withoutSlash);
}

/** @param {any} model @param {any} value */
function isLike(model, value) {
  if (typeof model === 'number') return value >= 0 && typeof value === 'number';
  return typeof value === typeof model && Array.isArray(value) === Array.isArray(model);
}

// --- What every promise of the client rejects with.


/**
 * CallCode is what a failed call of the platform means. aborted: the request. file_gone: choose the picture again. network: no
 * answer. not_permitted: WeChat does not let this mini-program; its domains, privacy guide or permissions, in the admin
 * console. refused: by the user. unsupported: WeChat is too old.
 * @typedef {'aborted' | 'file_gone' | 'network' | 'not_permitted' | 'phone_quota' | 'refused' | 'unsupported'} CallCode
 */

/**
 * Code is the server's, or one of these. unknown: an answer that is not the server's.
 * @typedef {CallCode | 'foreign_url' | 'logged_out' | 'not_set_up' | 'nothing_to_save' | 'unknown' | (string & {})} Code
 * @typedef {{ status: number, code: Code, action: string, detail: string, requestId: string, retryAfter: number }} ProblemFields
 */

const NAME = 'WxloginProblem';

class Problem extends Error {
  /** @param {Partial<ProblemFields>} [fields] */
  constructor({ status = 0, code = 'unknown', action = 'none', detail = '', requestId = '', retryAfter = 0 } = {}) {
    super(`wxlogin: ${code}`);
    this.name = NAME;
    /** the HTTP status; 0 if there was no answer */
    this.status = status;
    /** @type {Code} */
    this.code = code;
    /** what helps, as the answer says: relogin, retry or none */
    this.action = action;
    /** an English sentence for developers */
    this.detail = detail;
    /** to look for in the server's log */
    this.requestId = requestId;
    /** seconds; 0 if waiting does not help */
    this.retryAfter = retryAfter;
  }
}

/**
 * isProblem reports whether a promise of the client has rejected with this. Unlike instanceof it also knows those of a second
 * copy of the client, and those of a class that was transpiled to ES5.
 * @param {unknown} value
 * @returns {value is Problem}
 */
function isProblem(value) {
  return recordOf(value).name === NAME;
}

function loggedOut() {
  return new Problem({ code: 'logged_out', detail: 'The user has logged out; call login().' });
}

// --- What an answer says: whether it is a success, and if not, what helps.


/** @typedef {{ statusCode: number, data: any, header?: Record<string, any> }} Answer */

/** @param {Answer} res */
function succeeded(res) {
  return res.statusCode >= 200 && res.statusCode < 300;
}

/**
 * isOurs reports whether an answer is the server's, and not that of something in between, such as a hotel's page with
 * status 200.
 * @param {Answer} res
 */
function isOurs(res) {
  return succeeded(res) && recordOf(res.data).status === res.statusCode;
}

/**
 * downloaded stands for the body of a download's answer, which WeChat has written to a file: where that is, or the advice that
 * can be had without it. A phone may give no header either; a 401 is then taken to be about the token.
 * @param {Answer & { filePath?: string, tempFilePath?: string }} res
 */
function downloaded(res) {
  if (succeeded(res)) return { filePath: res.filePath || res.tempFilePath };
  if (headerOf(res, 'retry-after')) return { action: 'retry' };
  return { action: res.statusCode === 401 && Object.keys(recordOf(res.header)).length === 0 ? 'relogin' : '' };
}

/** @param {Answer} res */
function problemOf(res) {
  const { code, detail, requestId } = bodyOf(res);
  const action = actionOf(res);
  return new Problem({
    status: res.statusCode, code: textOf(code) || 'unknown', action, detail: textOf(detail), requestId: textOf(requestId),
    retryAfter: action === 'retry' ? secondsToWait(res) : 0,
  });
}

/**
 * bodyOf is the body's fields, none if it is no object, such as a proxy's error page. A service's answers may use the
 * names of a problem for something else: what is read of them must have the right type.
 * @param {Answer} res
 */
function bodyOf({ data }) {
  return recordOf(isText(data) ? parsed(data) : data); // a text: request() may have been told dataType
}

/**
 * actionOf is what an answer of failure advises. The body's advice counts. A 401 without it is about the token only if it
 * says so by WWW-Authenticate: Bearer, as gateways do; a service may answer 401 to a wrong password too.
 * @param {Answer} res
 */
function actionOf(res) {
  const action = textOf(bodyOf(res).action);
  if (['relogin', 'retry', 'none'].includes(action)) return action;
  return res.statusCode === 401 && wantsBearer(headerOf(res, 'www-authenticate')) ? 'relogin' : action || 'none';
}

/**
 * wantsBearer reports whether one of the challenges is Bearer (RFC 9110, section 11.6.1). What is quoted, and a parameter
 * of that name, is none.
 * @param {string} challenges
 */
function wantsBearer(challenges) {
  const unquoted = challenges.replace(/"(?:[^"\\]|\\.)*(?:"|$)/g, '""');
  return /(^|,)\s*bearer(\s*($|,)|\s+[^\s=,])/i.test(unquoted);
}

/**
 * secondsToWait reads Retry-After: seconds, or a date (RFC 9110, section 10.2.3). Without one that can be read: 1.
 * @param {Answer} res
 */
function secondsToWait(res) {
  const value = headerOf(res, 'retry-after');
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return seconds > 0 ? seconds : 1;
}

/**
 * headerOf is an answer's header of this name, '' if there is none. Phones differ in the case, and some give a list.
 * @param {Answer} res
 * @param {string} name in lower case
 */
function headerOf(res, name) {
  const header = recordOf(res.header); // some phones give none for uploads and downloads
  return Object.keys(header).filter((key) => key.toLowerCase() === name).map((key) => String(header[key])).join(', ');
}

// --- What a failed call of the platform means.


/**
 * The last two are buttons.
 * @typedef {'login' | 'request' | 'uploadFile' | 'downloadFile' | 'getUserInfo' | 'getPhoneNumber' | 'chooseAvatar'} Api
 */

/** @type {Api[]} */
const ASKING = ['getUserInfo', 'getPhoneNumber', 'chooseAvatar']; // only these can be refused by the user

/** @type {Api[]} */
const SENDING = ['login', 'request', 'uploadFile', 'downloadFile'];

const NETWORK_ERRNO = /^60\d{4}$/; // all of them but 600002

/**
 * What WeChat says when a call fails, in the order of precedence: the first one that fits counts. errnos:
 * https://developers.weixin.qq.com/miniprogram/dev/framework/usability/PublicErrno.html. Older versions of WeChat, and
 * many calls of today, have no errno: texts are what is known of their errMsg.
 * @type {{ code: string, of: Api[], errnos: number[], texts: RegExp }[]}
 */
const FAILURES = [
  {
    code: 'not_permitted', of: [...ASKING, ...SENDING], errnos: [112, 600002],
    texts: /not in domain list|合法域名|no permission|not declared in the privacy|offline verifying|api unauthorized/i,
  },
  { code: 'not_permitted', of: SENDING, errnos: [104], texts: /privacy|unauthorized|not authorized/i },
  { code: 'phone_quota', of: ['getPhoneNumber'], errnos: [1400001], texts: /quota|额度/i },
  {
    code: 'file_gone', of: ['uploadFile'], errnos: [1300002, 1300013],
    texts: /file[ _]not[ _]found|no such file|ENOENT|(file|path)\b[^:]*(not|n't) exist|permission denied|文件不存在/i,
  },
  {
    code: 'aborted', of: SENDING, errnos: [],
    texts: /(^|fail:? *|(user|request|operation|task) (was )?)abort|\bcancel(l?ed)?\b|已取消|-999\b/i,
  },
  { code: 'network', of: ASKING, errnos: [5], texts: /net::|network|time(d)? ?out|system error/i },
  { code: 'refused', of: ASKING, errnos: [3, 103, 104], texts: /den(y|ied)|cancel|refuse|reject|authorized|拒绝|取消/i },
];

/**
 * failureOf is the Problem of a wx call that failed, or of a button that gave nothing.
 * @param {Api} name
 * @param {any} err what the call gave to fail, or threw; the detail of the button's event
 */
function failureOf(name, err) {
  const { errMsg, message, errno } = recordOf(err);
  const detail = [err, errMsg, message].filter(isText)[0] || '';
  const known = FAILURES.filter(({ of }) => of.includes(name));
  const found = known.find(({ errnos }) => errnos.includes(Number(errno))) || known.find(({ texts }) => texts.test(detail));
  const isButton = name === 'getPhoneNumber' || name === 'chooseAvatar'; // these give nothing if the user does not want to
  const otherwise = isButton && !NETWORK_ERRNO.test(errno) ? 'refused' : 'network';
  return new Problem({ code: found ? found.code : otherwise, detail });
}

// --- Calls of the platform: of WeChat's wx, or of what stands before it in uni-app and Taro.


/** @typedef {'request' | 'uploadFile' | 'downloadFile'} Sending */

const GRACE = 2000; // milliseconds that WeChat gets to say itself that a timeout of its own is over

const LONGEST = 0x7fffffff - GRACE; // milliseconds: a timer that is longer goes off at once

/** @param {number} seconds */
function milliseconds(seconds) {
  return Math.min(seconds * 1000, LONGEST);
}

/**
 * platform is what setup was given, or the global that is there by now.
 * @returns {any}
 */
function platform() {
  if (options.platform) return options.platform;
  if (typeof wx !== 'undefined') return wx;
  // @ts-ignore: WeChat's typings know neither
  return typeof uni !== 'undefined' ? uni : typeof Taro !== 'undefined' ? Taro : {};
}

/**
 * callFor is call for what takes a timeout itself.
 * @param {number} timeout milliseconds
 * @param {'login' | Sending} name
 * @param {object} args
 */
function callFor(timeout, name, args) {
  return call(name, Object.assign({}, args, { timeout }), timeout + GRACE);
}

/**
 * call makes a promise of a wx call. Its failure is the phone's or the network's, not an answer. WeChat may not call back
 * at all, and then the promise rejects after bound milliseconds; what comes later changes nothing.
 * @param {'login' | 'getUserInfo' | Sending} name
 * @param {object} args
 * @param {number} bound
 * @returns {Promise<any>}
 */
function call(name, args, bound) {
  const wx = platform();
  if (typeof wx[name] !== 'function') {
    return Promise.reject(new Problem({ code: 'unsupported', detail: `This WeChat has no wx.${name}.` }));
  }
  return new Promise((resolve, reject) => {
    /** @type {any} */
    let task;
    const timer = setTimeout(() => {
      reject(new Problem({ code: 'network', detail: `wx.${name} did not call back within ${bound} ms.` }));
      abort(task);
    }, bound);
    const success = (/** @type {any} */ res) => { clearTimeout(timer); resolve(recordOf(res)); };
    const fail = (/** @type {any} */ res) => { clearTimeout(timer); reject(failureOf(name, res)); };
    try {
      task = wx[name](Object.assign({}, args, { success, fail }));
      settled(task); // Taro gives a promise as well; what that rejects with, fail has got
    } catch (err) {
      fail(err);
    }
  });
}

/** @param {any} task what a wx call has returned: of what takes its time, what ends it */
function abort(task) {
  try {
    if (task && typeof task.abort === 'function') task.abort();
  } catch (err) {
    // It is given up in any case.
  }
}

// --- Requests, and what is done about answers of failure.


/**
 * attempt sends until it is answered with success, trying each remedy once. Without relogin that is not one.
 * @param {() => Promise<Answer>} send
 * @param {(() => void) | null} [relogin]
 * @param {(res: Answer) => boolean} [isSuccess]
 */
async function attempt(send, relogin = null, isSuccess = isOurs) {
  /** @type {Record<string, boolean>} */
  const tried = {};
  for (;;) {
    const res = await send();
    if (isSuccess(res)) return res.data;
    const problem = problemOf(res);
    const { action, retryAfter } = problem;
    const helps = action === 'relogin' ? relogin : action === 'retry' && retryAfter <= options.maxWait;
    if (!helps || tried[action]) throw problem;
    tried[action] = true;
    if (action === 'retry') await options.wait(retryAfter);
    else if (relogin) relogin();
  }
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** @param {string} path @param {Record<string, string | undefined>} fields @param {string} [token] */
function post(path, fields, token) {
  return send('request', { url: serverUrl(path), method: 'POST', header: FORM, data: defined(fields) }, token);
}

/**
 * send is wx.request, wx.uploadFile or wx.downloadFile, with the token if there is one.
 * @param {Sending} name
 * @param {Record<string, any>} what
 * @param {string} [token]
 * @returns {Promise<Answer>}
 */
async function send(name, what, token) {
  const { timeout } = what;
  const isOwn = typeof timeout === 'number' && timeout > 0; // of the caller, in milliseconds
  const bound = isOwn ? Math.min(timeout, LONGEST) : milliseconds(options.requestTimeout);
  const header = Object.assign({}, what.header, token ? { Authorization: 'Bearer ' + token } : {});
  const res = await callFor(bound, name, Object.assign({}, what, { header }));
  const statusCode = Number(res.statusCode); // some phones give a text
  if (!statusCode) throw new Problem({ code: 'network', detail: textOf(res.errMsg) });
  const answer = Object.assign({}, res, { statusCode });
  if (name === 'uploadFile') answer.data = parsed(res.data); // which is a text
  if (name === 'downloadFile') answer.data = downloaded(answer);
  return answer;
}

/** @param {string} path */
function serverUrl(path) {
  if (!options.server) {
    const problem = new Problem({ code: 'not_set_up', detail: 'wxlogin.setup({ server }) must come first.' });
    throw Object.assign(problem, { message: `wxlogin: ${problem.detail}` }); // for the developer, in the console
  }
  return options.server + path;
}

// --- What is kept of the session: in memory, and in the phone's storage for the next launch.


/**
 * What is kept. lifetime: of the token without use, in seconds. loggedOut: by the user, until the next login(). deleted: the
 * user has deleted the account, or has tried to and no answer said that it is still there; until the next login() too.
 * @typedef {{ server: string, token: string, expiresAt: number, lifetime: number, loggedOut: boolean, deleted?: true }} Kept
 */

const STORAGE_KEY = 'wxlogin';

const TOKEN = /^[\x21-\x7e]{0,512}$/; // what fits into a header; more is not known of it here

const WRITE_PAUSE = 60 * 60 * 1000; // between two times that the expiry alone is written to storage, in ms

/** @type {Kept | null} */
let kept = null; // null: storage was not read yet
let writtenExpiry = 0;

/** @returns {Kept} */
function record() {
  if (!kept) {
    kept = readStorage();
    writtenExpiry = kept.expiresAt;
  }
  if (kept.server !== options.server) kept = blank(); // another server's token is not this one's business
  return kept;
}

/** @returns {Kept} */
function blank() {
  return { server: options.server, token: '', expiresAt: 0, lifetime: 0, loggedOut: false };
}

/** @returns {Kept} */
function readStorage() {
  let found;
  try {
    found = platform().getStorageSync(STORAGE_KEY);
  } catch (err) {
    found = null; // a storage that fails costs a login at each launch, nothing more
  }
  const { server, token, expiresAt, lifetime, loggedOut = false, deleted } = recordOf(found);
  const usable = isText(server) && isText(token) && TOKEN.test(token) && typeof expiresAt === 'number' &&
    typeof loggedOut === 'boolean';
  if (!usable) return blank();
  const read = { server, token, expiresAt, lifetime: lifetime > 0 ? Number(lifetime) : 0, loggedOut };
  return deleted === true ? Object.assign(read, { deleted }) : read;
}

/** @type {Set<(change: { loggedIn: boolean }) => void>} */
const listeners = new Set();

/**
 * onChange calls listener after each login that has brought another token, and after a logout or a deletion of the account: soon
 * afterwards, by a timer. It returns a function that ends this.
 * @param {(change: { loggedIn: boolean }) => void} listener
 * @returns {() => void}
 */
function onChange(listener) {
  const own = (/** @type {{ loggedIn: boolean }} */ change) => listener(change);
  listeners.add(own);
  return () => { listeners.delete(own); };
}

/** @param {boolean} loggedIn */
function announce(loggedIn) {
  listeners.forEach((listener) => {
    setTimeout(() => { if (listeners.has(listener)) listener({ loggedIn }); }, 0); // it may have been removed meanwhile
  });
}

/** @param {Partial<Kept>} changes */
function keep(changes) {
  const before = record();
  kept = Object.assign({}, before, changes);
  if (!kept.deleted) delete kept.deleted;
  writtenExpiry = kept.expiresAt;
  try {
    platform().setStorageSync(STORAGE_KEY, kept);
  } catch (err) {
    // Full or broken: memory has it until the mini-program ends.
  }
  if (kept.token && kept.token !== before.token) announce(true);
  else if (kept.loggedOut && !before.loggedOut) announce(false);
}

/** currentToken is '' if there is none that could be valid. */
function currentToken() {
  const { token, expiresAt } = record();
  return expiresAt > Date.now() ? token : '';
}

/**
 * forget removes a token that was refused, but not a newer one that a parallel call has fetched since.
 * @param {string} token
 */
function forget(token) {
  if (record().token === token) keep({ token: '', expiresAt: 0 });
}

/**
 * used moves the expiry on, as the server did.
 * @param {string} token
 */
function used(token) {
  const now = record();
  if (now.token !== token) return;
  now.expiresAt = Date.now() + now.lifetime * 1000;
  if (now.expiresAt - writtenExpiry > WRITE_PAUSE) keep({});
}

// --- The token: how the client gets one, and sends with it.


const UNKNOWN_LIFETIME = 60 * 60; // seconds: of a token whose answer does not say how long it is valid

/** @type {Record<'login' | 'exchange' | 'leave' | 'logout' | 'logoutEverywhere' | 'deletion', Promise<any> | null>} */
const underWay = { login: null, exchange: null, leave: null, logout: null, logoutEverywhere: null, deletion: null };

/** @type {{ problem: Problem, server: string, since: number } | null} */
let refusal = null; // of the latest login, with a time to wait

/**
 * shared allows one of a kind under way at a time: a call that comes meanwhile gets the same promise.
 * @param {keyof typeof underWay} kind
 * @param {() => Promise<any>} begin
 * @returns {Promise<any>}
 */
function shared(kind, begin) {
  const running = underWay[kind];
  if (running) return running;
  const begun = begin();
  const over = () => { underWay[kind] = null; };
  underWay[kind] = begun;
  begun.then(over, over);
  return begun;
}

/**
 * newToken exchanges a code of wx.login for a token: never two at once, because each replaces the other's session_key. It
 * makes no new account of one that the user has deleted, even if the answer to that was lost.
 */
async function newToken() {
  if (record().deleted) keep({ token: '', expiresAt: 0, loggedOut: true });
  if (record().loggedOut) throw loggedOut();
  return shared('exchange', exchange);
}

async function exchange() {
  const { server } = options;
  const answer = await beginSession();
  const { token, expiresIn } = answer;
  const lifetime = expiresIn > 0 && expiresIn < Infinity ? Number(expiresIn) : UNKNOWN_LIFETIME;
  keep({ server, token, lifetime, expiresAt: Date.now() + lifetime * 1000 });
  return answer;
}

async function beginSession() {
  throwIfTooEarly();
  try {
    // A code works once: every attempt takes a new one, so that "relogin" needs nothing more.
    return await attempt(sendCode, () => {}, hasToken);
  } catch (err) {
    if (isProblem(err) && err.action === 'retry') refusal = { problem: err, server: options.server, since: Date.now() };
    throw err;
  }
}

async function sendCode() {
  const { code } = await callFor(milliseconds(options.loginTimeout), 'login', {});
  if (!code) throw new Problem({ code: 'unknown', detail: 'wx.login gave no code.' });
  return post('/onLogin', { code, appid: appId() });
}

/** @param {Answer} res */
function hasToken(res) {
  return isOurs(res) && isText(res.data.token) && res.data.token !== '' && TOKEN.test(res.data.token);
}

/** throwIfTooEarly keeps a page full of requests from hammering a server that has said when to come again. */
function throwIfTooEarly() {
  if (!refusal) return;
  const { problem, server, since } = refusal;
  const passed = (Date.now() - since) / 1000;
  if (server !== options.server || passed < 0 || passed >= problem.retryAfter) { // the clock was set back, or it is time
    refusal = null;
    return;
  }
  throw new Problem(Object.assign({}, problem, { retryAfter: Math.ceil(problem.retryAfter - passed) }));
}

/** appId is the mini-program's own, for a server that has several; undefined if the phone does not know it. */
function appId() {
  try {
    return platform().getAccountInfoSync().miniProgram.appId || undefined;
  } catch (err) {
    return undefined;
  }
}

/**
 * token gives the token, and logs in first if there is none: for what does not go through request(), such as a socket. refused:
 * the token that a service has refused; if it is still the current one, it is forgotten, and another one is fetched. After a
 * logout it rejects with the code logged_out.
 * @param {{ refused?: string }} [how]
 * @returns {Promise<string>}
 */
async function token(how) {
  forget(recordOf(how).refused);
  return goodToken();
}

async function goodToken() {
  while (!currentToken() && underWay.deletion) await settled(underWay.deletion);
  if (record().loggedOut) throw loggedOut();
  const current = currentToken();
  if (!current && underWay.leave) throw loggedOut(); // a login now would begin a session after the logout
  return current || (await newToken()).token;
}

/**
 * withToken sends with the token. It logs in first if there is none, and once more if it is refused.
 * @param {(token: string) => Promise<Answer>} send
 * @param {(res: Answer) => boolean} [isSuccess]
 */
function withToken(send, isSuccess) {
  let token = '';
  return attempt(async () => {
    token = await goodToken();
    const res = await sendWith(token, send);
    const isRefused = res.statusCode === 401 && actionOf(res) === 'relogin';
    while (isRefused && underWay.deletion) await settled(underWay.deletion);
    if (isRefused && record().loggedOut) throw loggedOut(); // by a logout or a deletion that was faster
    return res;
  }, () => forget(token), isSuccess);
}

/** @param {string} token @param {(token: string) => Promise<Answer>} send */
async function sendWith(token, send) {
  const res = await send(token);
  if (succeeded(res)) used(token);
  return res;
}

// --- What the server knows of the user.


/**
 * @typedef {object} UserInfo all are '' or 0 if nothing is known
 * @property {string} nickName
 * @property {string} avatarUrl
 * @property {number} gender 0 unknown, 1 male, 2 female
 * @property {string} country
 * @property {string} province
 * @property {string} city
 * @property {string} language
 *
 * @typedef {{ userInfo: UserInfo, profileComplete: boolean, phoneNumber: string }} Profile profileComplete: nickname and
 *   avatar are known. phoneNumber: the one that is bound, as 138****1234; '' if none is, or the server is too old to say.
 *   Each number that the phone button gives is paid for: offer it only if none is known
 */

/** @type {UserInfo} */
const NOTHING_KNOWN = { nickName: '', avatarUrl: '', gender: 0, country: '', province: '', city: '', language: '' };

/** @param {Record<string, any>} answer @returns {Profile} */
function profileOf({ userInfo, profileComplete, phoneNumber }) {
  const known = /** @type {UserInfo} */ (recordOf(userInfo) === userInfo ? userInfo : Object.assign({}, NOTHING_KNOWN));
  return { userInfo: known, profileComplete: profileComplete === true, phoneNumber: textOf(phoneNumber) };
}

/**
 * updateUserInfo asks WeChat for the user's profile and has the server fill it in. anonymous: WeChat gave its placeholder
 * only, as it does since 2022; ask the user by chooseAvatar and the nickname input then, and call saveProfile.
 * @returns {Promise<Profile & { anonymous: boolean }>}
 */
async function updateUserInfo() {
  // The data is requested after the login, and again after another one: it is encrypted with the session_key of its time.
  const answer = await withToken(async (token) => {
    const given = await call('getUserInfo', { withCredentials: true, lang: 'zh_CN' }, milliseconds(options.dialogTimeout));
    const { encryptedData, iv, rawData, signature } = given;
    return post('/updateUserInfo', { encryptedData, iv, rawData, signature }, token);
  });
  return Object.assign({ anonymous: answer.anonymous === true }, profileOf(answer));
}

/**
 * saveProfile stores what the user typed and chose: a nickname, the temporary file of chooseAvatar, or both. The nickname
 * goes first: if the server refuses it, nothing is uploaded. If the file is refused then, the nickname is already saved.
 * @param {{ nickName?: string, avatarFile?: string }} [given]
 * @returns {Promise<Profile>}
 */
async function saveProfile(given) {
  const { nickName, avatarFile } = recordOf(given);
  const isAddress = /^https:\/\//i.test(avatarFile || ''); // not a file of this phone, but an avatar that has an address
  const file = isAddress ? '' : avatarFile;
  const fields = { nickName: nickName || undefined, avatarUrl: isAddress ? avatarFile : undefined };
  let answer;
  if (fields.nickName || fields.avatarUrl) answer = await withToken((token) => post('/updateUserInfo', fields, token));
  if (file) {
    const upload = { url: serverUrl('/uploadAvatar'), filePath: file, name: 'file' };
    answer = await withToken((token) => send('uploadFile', upload, token));
  }
  if (!answer) throw new Problem({ code: 'nothing_to_save', detail: 'Neither nickName nor avatarFile was given.' });
  return profileOf(answer);
}

/**
 * chosenAvatar returns the temporary file that was chosen with <button open-type="chooseAvatar">: detail is that of its event
 * chooseavatar, or error. refused: the user chose none.
 * @param {{ avatarUrl?: string, errMsg?: string, errno?: number }} detail
 * @returns {Promise<string>}
 */
async function chosenAvatar(detail) {
  const { avatarUrl } = recordOf(detail);
  if (!avatarUrl) throw failureOf('chooseAvatar', detail);
  return avatarUrl;
}

/**
 * bindPhone stores the phone number behind <button open-type="getPhoneNumber">: detail is its event's. The answer has the
 * number with its middle hidden. invalid_code: the button's code was used or is too old, and the user must press again.
 * @param {{ code?: string, encryptedData?: string, iv?: string, errMsg?: string, errno?: number }} detail
 * @returns {Promise<{ phoneNumber: string, countryCode: string }>}
 */
async function bindPhone(detail) {
  const { code, encryptedData, iv } = recordOf(detail);
  if (!code && !encryptedData) throw failureOf('getPhoneNumber', detail);
  const fields = code ? { code } : { encryptedData, iv };
  const answer = await withToken((token) => post('/bindPhone', fields, token).then(buttonAgain));
  return { phoneNumber: textOf(answer.phoneNumber), countryCode: textOf(answer.countryCode) };
}

/**
 * unbindPhone removes the phone number that is bound, and returns what bindPhone does if there is none.
 * @returns {Promise<{ phoneNumber: string, countryCode: string }>}
 */
async function unbindPhone() {
  await withToken((token) => post('/unbindPhone', {}, token));
  return { phoneNumber: '', countryCode: '' };
}

/**
 * buttonAgain removes advice that is meant for codes of wx.login: no login makes the button's code valid.
 * @param {Answer} res
 */
function buttonAgain(res) {
  const body = bodyOf(res);
  if (body.code !== 'invalid_code') return res;
  return Object.assign({}, res, { data: Object.assign({}, body, { action: 'none' }) });
}

// --- Logging in.


/**
 * login makes sure that there is a session: with the token that is kept, if it still works, or else by wx.login.
 * Calls made while a login is under way share it. After logout() or deleteAccount() only a login that is not silent begins
 * a new session; a silent one rejects with the code logged_out.
 *
 * fresh: calls wx.login in any case, so that the server gets the present session_key. Use it if wx.checkSession fails, or if
 * WeChat refuses a signature or a service cannot decrypt data, and not at every launch. If it fails, the token that was kept
 * stays.
 * @param {{ silent?: boolean, fresh?: boolean }} [how]
 * @returns {Promise<Profile & { isNewUser: boolean }>}
 */
function login(how) {
  const { silent, fresh } = recordOf(how);
  const leaving = underWay.logoutEverywhere || underWay.leave || underWay.deletion;
  if (leaving) return settled(leaving).then(() => login({ silent, fresh })); // what was asked for last is what counts
  if (silent && record().loggedOut) return Promise.reject(loggedOut());
  if (!silent && (record().loggedOut || record().deleted)) keep({ loggedOut: false, deleted: undefined });
  return fresh ? renew() : shared('login', resume);
}

async function resume() {
  const token = currentToken();
  if (token) {
    try {
      return knownUser(await attempt(() => sendWith(token, getUser)));
    } catch (err) {
      if (!isProblem(err) || err.action !== 'relogin') throw err;
      forget(token);
    }
    while (underWay.deletion) await settled(underWay.deletion); // it may be why the token was refused
    if (currentToken()) return knownUser(await withToken(getUser)); // a parallel call has logged in meanwhile
  }
  return renew();
}

/** renew logs in, whatever token there is. */
async function renew() {
  const answer = await newToken();
  return Object.assign({ isNewUser: answer.isNewUser === true }, profileOf(answer));
}

/** @param {string} token */
function getUser(token) {
  return send('request', { url: serverUrl('/userInfo') }, token);
}

/** @param {Record<string, any>} answer */
function knownUser(answer) {
  return Object.assign({ isNewUser: false }, profileOf(answer));
}

// --- Requests, uploads and downloads of the mini-program's own, with the token.


/** @typedef {'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS' | 'TRACE' | 'CONNECT'} Method */

/**
 * request is wx.request with the token. It resolves with the body of an answer of HTTP status 2xx. A url that begins with
 * "/" is the wxlogin server's; others must be below one of setup's services, so that the token goes nowhere else.
 * timeout is in milliseconds, and other options are handed on, as with wx.request.
 * @template [T=any]
 * @param {{ url: string, method?: Method, data?: any, header?: Record<string, string>, timeout?: number,
 *   [option: string]: any }} what
 * @returns {Promise<T>}
 */
function request(what) {
  return sendOwn('request', what);
}

/**
 * uploadFile is wx.uploadFile with the token, under the rules of request(). It resolves with the body, parsed if it is JSON.
 * @template [T=any]
 * @param {{ url: string, filePath: string, name: string, formData?: Record<string, any>, header?: Record<string, string>,
 *   timeout?: number, [option: string]: any }} what
 * @returns {Promise<T>}
 */
function uploadFile(what) {
  return sendOwn('uploadFile', what);
}

/**
 * downloadFile is wx.downloadFile with the token, under the rules of request(). It resolves with the file that it was saved to:
 * filePath if it is given, or else a temporary one. The body of an answer of failure is not read: the Problem has its status, and
 * the code unknown; a file at filePath is not the one that was wanted then.
 * @param {{ url: string, filePath?: string, header?: Record<string, string>, timeout?: number, [option: string]: any }} what
 * @returns {Promise<{ filePath: string }>}
 */
function downloadFile(what) {
  return sendOwn('downloadFile', what);
}

/** @param {Sending} name @param {Record<string, any>} what */
async function sendOwn(name, what) {
  const address = textOf(recordOf(what).url);
  const url = address.startsWith('/') ? serverUrl(address) : address;
  if (![options.server].concat(options.services).some((base) => isBelow(url, base))) {
    throw new Problem({ code: 'foreign_url', detail: 'The url is neither the server nor one of setup\'s services.' });
  }
  return withToken((token) => send(name, Object.assign({}, what, { url }), token), succeeded);
}

// --- Logging out, and deleting the account.


/**
 * logout ends the session, and until the next login() nothing logs in by itself, in later launches too. everywhere: all
 * sessions of the user in this mini-program, on other phones as well; if the token has ended, it logs in for that. The
 * token is forgotten even if the server cannot be reached; the promise rejects then, and the session ends by itself.
 * @param {{ everywhere?: boolean }} [how]
 * @returns {Promise<void>}
 */
function logout(how) {
  return recordOf(how).everywhere ? shared('logoutEverywhere', leaveEverywhere) : shared('logout', leaveHere);
}

async function leaveHere() {
  const token = await shared('leave', leave);
  if (token) await attempt(() => post('/logout', {}, token));
}

async function leaveEverywhere() {
  let token = await shared('leave', leave);
  const { deleted } = record(); // no session is left then, and a login would make a new account
  if (deleted && !token) return;
  await attempt(async () => {
    token = token || (await beginSession()).token; // the server must know whose sessions should end
    return post('/logout', { everywhere: 'true' }, token);
  }, deleted ? null : () => { token = ''; });
}

/** leave logs the phone out, and returns the token that it had. */
async function leave() {
  const before = () => underWay.deletion || underWay.login || underWay.exchange;
  while (before()) await settled(before());
  const { token } = record();
  keep({ token: '', expiresAt: 0, loggedOut: true }); // before the request: what is refused from then on must not log in again
  return token;
}

/**
 * deleteAccount erases the user on the server: profile, phone number and all sessions, in all of the server's mini-programs
 * that know the person as the same. Ask the user once more before. The server wants a new login for it, which shows no
 * dialog. Afterwards the phone is logged out, as after logout(); the next login() makes a new account. If the promise
 * rejects, the user stays logged in; with a status of 0 or 5xx it may be done all the same, and should be called again.
 * @returns {Promise<void>}
 */
function deleteAccount() {
  return shared('deletion', erase);
}

async function erase() {
  const { server } = options;
  let token = '';
  await attempt(async () => {
    while (underWay.exchange) await settled(underWay.exchange); // it must not make a new account after the deletion
    if (record().loggedOut) throw loggedOut();
    // If the account is gone already, this login makes a new one, which goes with the repeat: nothing is left.
    token = currentToken() || (await shared('exchange', exchange)).token;
    const { deleted } = record(); // by an earlier call whose answer got lost
    keep({ deleted: true }); // before the request: its answer may get lost too
    const res = await post('/deleteAccount', { confirm: 'delete' }, token);
    const isTokenBad = res.statusCode === 401 && bodyOf(res).code !== 'stale_session'; // which says nothing of the account
    if (res.statusCode >= 400 && res.statusCode < 500) keep({ deleted: isTokenBad ? deleted : undefined });
    return res;
  }, () => forget(token));
  keep({ server, token: '', expiresAt: 0, loggedOut: true, deleted: true });
}

exports.Problem = Problem;
exports.bindPhone = bindPhone;
exports.chosenAvatar = chosenAvatar;
exports.deleteAccount = deleteAccount;
exports.downloadFile = downloadFile;
exports.isProblem = isProblem;
exports.login = login;
exports.logout = logout;
exports.onChange = onChange;
exports.request = request;
exports.saveProfile = saveProfile;
exports.setup = setup;
exports.token = token;
exports.unbindPhone = unbindPhone;
exports.updateUserInfo = updateUserInfo;
exports.uploadFile = uploadFile;
