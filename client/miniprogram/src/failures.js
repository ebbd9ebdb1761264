// What a failed call of the platform means.

import { Problem } from './problem.js';
import { isText, recordOf } from './values.js';

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
export function failureOf(name, err) {
  const { errMsg, message, errno } = recordOf(err);
  const detail = [err, errMsg, message].filter(isText)[0] || '';
  const known = FAILURES.filter(({ of }) => of.includes(name));
  const found = known.find(({ errnos }) => errnos.includes(Number(errno))) || known.find(({ texts }) => texts.test(detail));
  const isButton = name === 'getPhoneNumber' || name === 'chooseAvatar'; // these give nothing if the user does not want to
  const otherwise = isButton && !NETWORK_ERRNO.test(errno) ? 'refused' : 'network';
  return new Problem({ code: found ? found.code : otherwise, detail });
}
