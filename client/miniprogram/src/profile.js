// What the server knows of the user.

import { bodyOf } from './answers.js';
import { failureOf } from './failures.js';
import { options } from './options.js';
import { call, milliseconds } from './platform.js';
import { Problem } from './problem.js';
import { post, send, serverUrl } from './send.js';
import { withToken } from './token.js';
import { recordOf, textOf } from './values.js';

/** @import { Answer } from './answers.js' */

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
export function profileOf({ userInfo, profileComplete, phoneNumber }) {
  const known = /** @type {UserInfo} */ (recordOf(userInfo) === userInfo ? userInfo : Object.assign({}, NOTHING_KNOWN));
  return { userInfo: known, profileComplete: profileComplete === true, phoneNumber: textOf(phoneNumber) };
}

/**
 * updateUserInfo asks WeChat for the user's profile and has the server fill it in. anonymous: WeChat gave its placeholder
 * only, as it does since 2022; ask the user by chooseAvatar and the nickname input then, and call saveProfile.
 * @returns {Promise<Profile & { anonymous: boolean }>}
 */
export async function updateUserInfo() {
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
export async function saveProfile(given) {
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
export async function chosenAvatar(detail) {
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
export async function bindPhone(detail) {
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
export async function unbindPhone() {
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
