// One user's phone: the wx object of a mini-program, backed by the WeChat simulator, and the device that it runs on. It has
// what the login client uses, for callers with callbacks, and runs in Node and, as CommonJS modules, in a browser.

const { send, upload, download } = require('./network.js');
const { createSeen } = require('./seen.js');

/**
 * @typedef {object} PhoneOptions
 * @property {string} simulator base URL of the WeChat simulator's controls, without /sim
 * @property {string} user the phone's owner
 * @property {string} [appId] of the mini-program. Default: the simulator's first
 * @property {{anonymous: boolean}} [release] anonymous (the default): a current release, to which WeChat gives a
 *   placeholder instead of the profile; false: one from before 2021
 * @property {typeof globalThis.fetch} [fetch]
 * @property {Map<string, any>} [storage] what the mini-program has stored: a Map, or an object with its get, set and has
 * @property {boolean} [loggedIn] whether wx.login was called on this phone before. Default: true if a storage is given
 */

/**
 * createWx returns the wx object of one user's phone, which behaves as WeChat's does, and its device. Each phone has its own
 * storage.
 *
 * @param {PhoneOptions} options
 */
function createWx({
  simulator, user, appId, release = { anonymous: true }, fetch = globalThis.fetch, storage, loggedIn = Boolean(storage),
}) {
  const sim = createSim({ simulator, user, appId, fetch });
  const { seen, countLogin, countRequest } = createSeen();
  const device = createDevice(sim, { release, storage: storage || new Map(), seen });

  const wx = {
    login: (options) => answer('login', options, () => countLogin(async () => {
      const { code } = await sim('login');
      loggedIn = true;
      return { code };
    })),
    getUserInfo: (options) => answer('getUserInfo', options, () => {
      if (!loggedIn) throw new Error('wx.login must be called before');
      return sim('userinfo', { kind: device.release.anonymous ? 'anonymous' : 'info' });
    }),
    requirePrivacyAuthorize: (options) => answer('requirePrivacyAuthorize', options, () => ({})),
    getAccountInfoSync: () => ({ miniProgram: { appId: appId || '' } }),

    request: (options) => task('request', options, (aborter) => (
      countRequest(options, () => send(fetch, options, aborter)))),
    uploadFile: (options) => task('uploadFile', options, (aborter) => (
      countRequest({ ...options, method: 'POST' }, () => (
        upload(fetch, options, device.fileOf(options.filePath), aborter))))),
    downloadFile: (options) => task('downloadFile', options, (aborter) => (
      countRequest(options, async () => {
        const { file, ...res } = await download(fetch, options, aborter);
        return { ...res, ...device.keepFile(file, options.filePath) };
      }))),

    getStorageSync: (key) => (device.storage.has(key) ? structuredClone(device.storage.get(key)) : ''),
    setStorageSync: (key, value) => { device.storage.set(key, structuredClone(value)); },
  };
  return { wx, device };
}

/**
 * answer runs work and reports its result, never before the call itself has returned. errMsg is WeChat's: `${name}:ok`, or
 * `${name}:fail ` and the message of the error. What a callback throws is not a failure of the call.
 */
async function answer(name, { success = () => {}, fail = () => {} }, work) {
  let res;
  try {
    res = await work();
  } catch (err) {
    fail({ errMsg: `${name}:fail ${err.message}` });
    return;
  }
  success({ ...res, errMsg: `${name}:ok` });
}

/** task is a call of wx that returns an object with abort(). */
function task(name, options, work) {
  const aborter = new AbortController();
  answer(name, options, () => work(aborter));
  return { abort: () => aborter.abort(new Error('abort')) };
}

/** createSim returns the function that calls the simulator for this phone. */
function createSim({ simulator, user, appId, fetch }) {
  return async (path, params = {}) => {
    const query = new URLSearchParams({ user, ...(appId && { appid: appId }), ...params });
    const res = await fetch(`${simulator}/sim/${path}?${query}`, { method: 'POST', credentials: 'omit' });
    if (!res.ok) throw new Error(`the simulator answers ${res.status}`);
    return res.json();
  };
}

/** createDevice returns what a test or a page does with a phone. Its release may be replaced at any time. */
function createDevice(sim, { release, storage, seen }) {
  const files = new Map(); // by path: bytes, and a type as image/jpeg
  return {
    release,
    storage,
    seen,
    fileOf: (path) => files.get(path),

    /** keepFile keeps a file that was downloaded, and returns its path as wx.downloadFile does. */
    keepFile(file, filePath) {
      const tempFilePath = `http://tmp/${files.size}`;
      files.set(filePath || tempFilePath, file);
      return filePath ? { filePath } : { tempFilePath };
    },

    /** replaceSessionKey makes WeChat replace the session_key, as a wx.login may. */
    replaceSessionKey: () => sim('newkey'),

    /** chooseAvatar returns the detail of a chooseavatar event, and keeps the picture as a temporary file. */
    async chooseAvatar() {
      const { avatarUrl, data } = await sim('chooseavatar');
      files.set(avatarUrl, { bytes: Uint8Array.from(atob(data), (char) => char.charCodeAt(0)), type: 'image/jpeg' });
      return { avatarUrl };
    },

    /**
     * getPhoneNumber returns the detail of a getphonenumber event. old: encryptedData and iv instead of a code; deny: the
     * user refuses.
     */
    async getPhoneNumber({ old = false, deny = false } = {}) {
      if (deny) return { errMsg: 'getPhoneNumber:fail user deny' };
      return { ...await sim(old ? 'phonenumber' : 'phonecode'), errMsg: 'getPhoneNumber:ok' };
    },
  };
}

module.exports = { createWx };
