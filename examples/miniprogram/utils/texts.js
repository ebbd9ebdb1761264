// What a problem means for the user.

/** @type {Record<string, string>} */
const SENTENCES = {
  refused: '您没有同意授权，什么都没有改变，需要时可以再试一次。',
  network: '网络连接不上，请检查网络后再试。',
  aborted: '操作已取消。',
  not_permitted: '小程序的配置有误，这项功能暂时无法使用，请联系客服。',
  unsupported: '当前微信版本过低，请升级微信后再试。',
  not_set_up: '小程序的设置有误，请联系客服，我们会尽快处理。',
  foreign_url: '小程序的设置有误，请联系客服，我们会尽快处理。',
  file_gone: '图片已失效，请重新选择。',
  logged_out: '您已退出登录，请先登录。',
  nothing_to_save: '请先选择头像或填写昵称，再保存。',
  phone_quota: '暂时无法验证手机号，请以后再试。',
  invalid_token: '登录已失效，请再试一次。',
  not_found: '这项功能暂时无法使用，请联系客服。',
  user_blocked: '您的账号目前不能使用，如有疑问请联系客服。',
  misconfigured: '小程序的设置有误，请联系客服，我们会尽快处理。',
  invalid_code: '微信的授权已经过期，请再试一次。',
  undecryptable: '微信给的资料无法读取，请再试一次。',
  stale_session: '为了保障您的账号安全，这项操作需要重新登录，请再试一次。',
  invalid_request: '填写的内容不能使用，请修改后再试（昵称为 1 到 32 个字）。',
  invalid_picture: '这张图片不能使用，请换一张。',
  request_too_large: '图片太大，请换一张小于 4 MB 的图片。',
};

/** @type {Record<string, string>} */
const LATER = {
  rate_limited: '操作太频繁了',
  wechat_unavailable: '微信现在比较忙',
  storage_unavailable: '服务器现在比较忙',
};

/**
 * explain says in one Chinese sentence what to do about a problem of utils/wxlogin.js, or about whatever else was
 * thrown. It shows nothing of it but the time to wait and, if only the operator's log can help, the requestId.
 * @param {any} problem
 */
function explain(problem) {
  const { code = '', status = 0, retryAfter = 0, requestId = '' } = problem || {};
  if (has(SENTENCES, code)) return SENTENCES[code];
  if (has(LATER, code)) return `${LATER[code]}，请${after(retryAfter)}再试。`;
  if (requestId) return `没有成功，请稍后再试；如果总是这样，请把编号 ${requestId} 告诉客服。`;
  if (status >= 500) return `${LATER.storage_unavailable}，请${after(retryAfter)}再试。`; // a proxy's answer has no code
  return '没有成功，请稍后再试；如果总是这样，请联系客服。';
}

/** @param {Record<string, string>} texts @param {string} code */
function has(texts, code) {
  return Object.prototype.hasOwnProperty.call(texts, code);
}

/** @param {number} seconds */
function after(seconds) {
  if (seconds <= 0) return '稍后';
  return seconds < 60 ? ` ${Math.ceil(seconds)} 秒后` : ` ${Math.ceil(seconds / 60)} 分钟后`;
}

module.exports = { explain };
