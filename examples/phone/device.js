// The phone beside the mini-program: what its user does with WeChat's own buttons, and the files that come of it.

/**
 * @typedef {{bytes: Uint8Array<ArrayBuffer>, type: string}} TemporaryFile type is as image/jpeg
 * @typedef {ReturnType<typeof createDevice>} Device
 */

/**
 * createDevice returns the phone beside the mini-program. storage and release may be changed.
 *
 * @param {(path: string, params?: object) => Promise<any>} sim asks WeChat
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
     * confirm answers wx.showModal, whose options it gets. Without it every dialog is confirmed.
     *
     * @type {((options: any) => boolean | Promise<boolean>) | undefined}
     */
    confirm: undefined,

    /**
     * reviewNickname tells whether WeChat allows a nickname that was typed. Without it every one is allowed.
     *
     * @type {((name: string) => boolean | Promise<boolean>) | undefined}
     */
    reviewNickname: undefined,

    /** replaceSessionKey has WeChat replace the session_key, as it does by itself at a wx.login. */
    replaceSessionKey: () => sim('newkey'),

    /** chooseAvatar gives the detail of a chooseavatar event, and keeps the picture as a temporary file. */
    async chooseAvatar() {
      const { avatarUrl, data } = await sim('chooseavatar');
      files.set(avatarUrl, { bytes: Uint8Array.from(atob(data), (char) => char.charCodeAt(0)), type: 'image/jpeg' });
      return { avatarUrl };
    },

    /**
     * fileOf gives a temporary file, or undefined where the phone has no such file.
     *
     * @param {string} path
     */
    fileOf: (path) => files.get(path),

    /**
     * getPhoneNumber gives the detail of a getphonenumber event. old: encryptedData and iv in place of a code; deny: the
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
