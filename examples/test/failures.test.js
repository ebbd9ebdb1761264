// What a failed call of wx means: refused by the user, a matter of the network, or of the operator.

const assert = require('node:assert/strict');
const test = require('node:test');
const { CALLS, logIn, ask, update, download, check, newPhone, planted } = require('./session.js');
const { explain } = require('../miniprogram/utils/texts.js');

/** What calls an API of wx, or gets what a button gave. */
const STEPS = {
  login: () => logIn,
  request: () => ask,
  uploadFile: () => CALLS['saveProfile, of a picture'],
  downloadFile: () => download,
  getUserInfo: () => update,
  getPhoneNumber: (given) => ({ client }) => client.bindPhone(given),
  chooseAvatar: (given) => ({ client }) => client.chosenAvatar(given),
};

// By call and code: what WeChat gives to fail: errMsg after "login:fail", or errno, or both. The last two are buttons.
const FAILURES = {
  login: {
    network: [' system error', ':timeout', ' timeout', ' auth deny', ' access denied', 5, [' auth denied', 103]],
    not_permitted: [' the permission value is offline verifying', ' jsapi has no permission, event=login, runningState=background',
      ' privacy permission is not authorized', ' api unauthorized', 104, 112],
    aborted: [' cancelled'],
  },
  request: {
    network: ['', ' timeout', [' time out', 5], ' net::ERR_NETWORK_ACCESS_DENIED', ' access denied',
      ' errcode:-138 cronet_error_code:-138 error_msg:net::ERR_NETWORK_ACCESS_DENIED', ' -109:net::ERR_ADDRESS_UNREACHABLE',
      ' ssl hand shake error', ' net::ERR_CONNECTION_ABORTED', ' Software caused connection abort', ' net::ERR_ABORTED',
      ' connection denied by the proxy', ' permission denied', ' file not found',
      600000, 600001, 600003, 600004, 600005, 600006, 600007, 600008, 600009,
      [':network interrupted error', 600003], [' net::ERR_NETWORK_ACCESS_DENIED', 600001]],
    not_permitted: [' url not in domain list', 600002, [' url not in domain list', 600002], ['', '112'], ' no permission'],
    aborted: [' abort', ' aborted', ':abort', ' cancelled', ' canceled', ' 已取消', ' -999:cancelled', ' The user aborted a request.',
      { errMsg: 'abort' }],
  },
  uploadFile: {
    network: [' timeout', ' net::ERR_NETWORK_ACCESS_DENIED', ' access denied', ' host does not exist', 600001],
    file_gone: [' file not found', ' createUploadTask:fail file not found', ' net::ERR_FILE_NOT_FOUND', ' file doesn\'t exist',
      ' ENOENT: no such file or directory, open wxfile://tmp_1', ' no such file or directory', ' 文件不存在',
      ' permission denied, open "wxfile://tmp_1"', ' EACCES: permission denied', 1300002, 1300013],
    not_permitted: [' url not in domain list', ' no permission', [' api scope is not declared in the privacy agreement', 112]],
    aborted: [' abort', ' cancelled'],
  },
  downloadFile: {
    network: [' timeout', ' net::ERR_NETWORK_ACCESS_DENIED', ' access denied', ' exceed max file size', ' file not found', 600001],
    not_permitted: [' url not in domain list', 600002],
    aborted: [' abort', ' cancelled'],
  },
  getUserInfo: {
    refused: [' auth deny', ':auth denied', ' auth canceled', ' cancel', ' user deny', ' scope unauthorized', ' authorize deny',
      3, 103, 104, [' privacy permission is not authorized', 104], ' privacy permission is not authorized'],
    network: [' system error', ' timeout', ' net::ERR_NETWORK_ACCESS_DENIED', 5],
    not_permitted: [' api scope is not declared in the privacy agreement', [' auth deny', 112], ' no permission',
      ' the permission value is offline verifying'],
  },
  getPhoneNumber: {
    refused: [' user deny', ':user cancel', ' user cancel', '', ' privacy permission is not authorized', 104, [' user deny', 103],
      { code: '', encryptedData: '', errMsg: 'getPhoneNumber:fail' }],
    not_permitted: [' no permission', ' jsapi has no permission', [' api scope is not declared in the privacy agreement', 112], 112],
    phone_quota: [1400001, ' no quota', [' no quota', 1400001]],
    network: [' timeout', ' network error', 600001, 5],
  },
  chooseAvatar: {
    refused: [' cancel', '', { avatarUrl: '' }, [' privacy permission is not authorized', 104]],
    not_permitted: [[' api scope is not declared in the privacy agreement', 112], ' jsapi has no permission'],
    network: [' timeout'],
  },
};

/** failure is what WeChat gives, of the short form in FAILURES. */
function failure(api, short) {
  if (typeof short === 'string') return { errMsg: `${api}:fail${short}` };
  if (typeof short === 'number') return { errMsg: `${api}:fail`, errno: short };
  return Array.isArray(short) ? { errMsg: `${api}:fail${short[0]}`, errno: short[1] } : short;
}

const NOTHING = [undefined, null, {}, '', 7, [], { errMsg: undefined }, { errMsg: null }, { errMsg: {} }, { errno: {} }];

for (const [api, codes] of Object.entries(FAILURES)) {
  const isButton = api === 'getPhoneNumber' || api === 'chooseAvatar';
  const meaning = Object.entries(codes).flatMap(([code, list]) => list.map((short) => [failure(api, short), code]));
  const otherwise = isButton ? 'refused' : 'network';
  meaning.push(...NOTHING.map((given) => [given, otherwise, '']));
  meaning.push(['a text', otherwise, 'a text'], [new Error('an Error'), otherwise, 'an Error']);

  check(`what the failures of ${api} mean`, api === 'login' ? newPhone : planted(), async (phone) => {
    for (const [given, code, detail = given?.errMsg || ''] of meaning) {
      if (!isButton) phone.wx[api] = ({ fail }) => fail(given);
      const problem = { status: 0, code, action: 'none', detail, retryAfter: 0 };
      await assert.rejects(STEPS[api](given)(phone), problem, JSON.stringify(given));
    }
  }, { requests: [], ...(api !== 'login' && { logins: 0, token: 'same' }) });
}

check('an avatar that was chosen is its file', newPhone, ({ client }) => client.chosenAvatar({ avatarUrl: 'wxfile://tmp_1' }),
  { gives: 'wxfile://tmp_1' });

// --- What is said of a problem.

test('each code of the client has a sentence of its own', () => {
  const generic = explain({ code: 'unknown' });
  for (const code of ['aborted', 'file_gone', 'foreign_url', 'logged_out', 'network', 'not_permitted', 'not_set_up',
    'nothing_to_save', 'phone_quota', 'refused', 'unsupported']) {
    const sentence = explain({ code, status: 0, action: 'none', detail: '', requestId: '', retryAfter: 0 });
    assert.ok(sentence !== generic && /^[\u4e00-\u9fff].*。$/.test(sentence), code);
  }
});

test('a sentence says what to do, and when', () => {
  for (const [problem, sentence] of [
    [{ code: 'wechat_unavailable', retryAfter: 30 }, '微信现在比较忙，请 30 秒后再试。'],
    [{ code: 'storage_unavailable', retryAfter: 45 }, '服务器现在比较忙，请 45 秒后再试。'],
    [{ code: 'rate_limited', retryAfter: 60 }, '操作太频繁了，请 1 分钟后再试。'],
    [{ code: 'user_blocked' }, '您的账号目前不能使用，如有疑问请联系客服。'],
    [{ code: 'misconfigured' }, '小程序的设置有误，请联系客服，我们会尽快处理。'],
    [{ code: 'internal', status: 500, requestId: 'refused-1' }, '没有成功，请稍后再试；如果总是这样，请把编号 refused-1 告诉客服。'],
    [{ code: 'unknown', status: 502 }, '服务器现在比较忙，请稍后再试。'],
    [{ code: 'stale_session' }, '为了保障您的账号安全，这项操作需要重新登录，请再试一次。'],
    [{ code: 'phone_quota' }, '暂时无法验证手机号，请以后再试。'],
    [{ code: 'invalid_request' }, '填写的内容不能使用，请修改后再试（昵称为 1 到 32 个字）。'],
  ]) assert.equal(explain(problem), sentence);
});
