// One user's phone: the wx object of a mini-program, backed by the WeChat simulator, and the device that it runs on. It runs
// in Node and, as CommonJS modules, in a browser.

const { answer } = require('./answer.js');
const { createDevice } = require('./device.js');
const { send, upload } = require('./network.js');
const { createSeen } = require('./seen.js');

/**
 * @typedef {object} PhoneOptions
 * @property {string} simulator base URL of the WeChat simulator's controls, without /sim
 * @property {string} user the phone's owner
 * @property {string} [appId] of the mini-program. Default: the simulator's first
 * @property {{anonymous: boolean}} [release] anonymous (the default): a current release, to which WeChat gives a
 *   placeholder instead of the profile; false: one from before 2021
 * @property {typeof globalThis.fetch} [fetch]
 * @property {Map<string, any>} [storage] what the mini-program has stored: a Map, or an object with its get, set, has
 *   and delete
 * @property {boolean} [loggedIn] whether wx.login was called on this phone before. Default: true if a storage is
 *   given
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
    getUserInfo: (options = {}) => answer('getUserInfo', options, () => {
      const secret = options.withCredentials !== false;
      if (secret && !loggedIn) throw new Error('wx.login must be called before');
      return openData('info', secret);
    }),
    getUserProfile: (options = {}) => answer('getUserProfile', options, () => {
      if (!options.desc) throw new Error('parameter error: parameter.desc should be String instead of Undefined;');
      return openData('profile', true);
    }),
    requirePrivacyAuthorize: (options) => answer('requirePrivacyAuthorize', options, () => ({})),
    getAccountInfoSync: () => ({ miniProgram: { appId: appId || '', envVersion: 'develop', version: '' } }),

    request: (options) => task('request', options, (aborter) => (
      countRequest(options, () => send(fetch, options, aborter)))),
    uploadFile: (options) => task('uploadFile', options, (aborter) => (
      countRequest({ ...options, method: 'POST' }, () => (
        upload(fetch, options, device.fileOf(options.filePath), aborter))))),

    getStorageSync: (key) => (device.storage.has(key) ? structuredClone(device.storage.get(key)) : ''),
    setStorageSync: (key, value) => { device.storage.set(key, structuredClone(value)); },
    removeStorageSync: (key) => { device.storage.delete(key); },
  };

  // openData is the user's profile, or the placeholder that a current release gets. secret: with the encrypted data.
  async function openData(kind, secret) {
    const { encryptedData, iv, ...open } = await sim('userinfo', { kind: device.release.anonymous ? 'anonymous' : kind });
    return secret ? { ...open, encryptedData, iv } : open;
  }

  return { wx, device };
}

/** task is a call of wx that returns an object with abort(), never a promise. */
function task(name, options, work) {
  const aborter = new AbortController();
  answer(name, { complete() {}, ...options }, () => work(aborter));
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

module.exports = { createWx };
