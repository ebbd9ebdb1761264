// What is on the phone besides the mini-program: WeChat's own buttons, and the files that the user has chosen.

/**
 * @typedef {{bytes: Uint8Array<ArrayBuffer>, type: string}} TemporaryFile type is as image/jpeg
 * @typedef {ReturnType<typeof createDevice>} Device
 */

/**
 * createDevice returns what a test or a page does with a phone. storage and release may be replaced at any time.
 *
 * @param {(path: string, params?: object) => Promise<any>} sim calls the simulator
 * @param {object} given
 * @param {{anonymous: boolean}} given.release
 * @param {Map<string, any>} given.storage
 * @param {import('./seen.js').Seen} given.seen
 */
function createDevice(sim, { release, storage, seen }) {
  /** @type {Map<string, TemporaryFile>} */
  const files = new Map();
  return {
    release,
    storage,
    seen,

    /**
     * confirm answers wx.showModal, whose options it gets. If it is undefined, every dialog is confirmed.
     *
     * @type {((options: any) => boolean | Promise<boolean>) | undefined}
     */
    confirm: undefined,

    /**
     * reviewNickname reports whether WeChat allows a typed nickname. If it is undefined, every one is allowed.
     *
     * @type {((name: string) => boolean | Promise<boolean>) | undefined}
     */
    reviewNickname: undefined,

    /** replaceSessionKey makes WeChat replace the session_key, as a wx.login may. */
    replaceSessionKey: () => sim('newkey'),

    /** chooseAvatar returns the detail of a chooseavatar event, and keeps the picture as a temporary file. */
    async chooseAvatar() {
      const { avatarUrl, data } = await sim('chooseavatar');
      files.set(avatarUrl, { bytes: Uint8Array.from(atob(data), (char) => char.charCodeAt(0)), type: 'image/jpeg' });
      return { avatarUrl };
    },

    /**
     * fileOf returns a temporary file, or undefined if there is no such file.
     *
     * @param {string} path
     */
    fileOf: (path) => files.get(path),

    /**
     * getPhoneNumber returns the detail of a getphonenumber event. old: encryptedData and iv instead of a code; deny: the
     * user refuses.
     */
    async getPhoneNumber({ old = false, deny = false } = {}) {
      if (deny) return { errMsg: 'getPhoneNumber:fail user deny' };
      const given = await sim(old ? 'phonenumber' : 'phonecode');
      return { ...given, errMsg: 'getPhoneNumber:ok' };
    },
  };
}

module.exports = { createDevice };
