// What a failed call of wx means: refused by the user, a matter of the network, or of the operator.

const assert = require('node:assert/strict');
const test = require('node:test');
const { takePhone, launch } = require('./phone.js');
const { openPhone, tokenOf } = require('./session.js');
const { explain } = require('../miniprogram/utils/texts.js');

const CALLS = {
  login: (client) => client.login(),
  request: (client) => client.request({ url: '/userInfo' }),
  uploadFile: (client) => client.saveProfile({ avatarFile: 'wxfile://tmp_1' }),
  getUserInfo: (client) => client.updateUserInfo(),
};

// What WeChat gives to fail, and the code of the Problem.
const FAILURES = {
  login: [
    ['login:fail system error', 'network'], ['login:fail:timeout', 'network'], ['login:fail timeout', 'network'],
    ['login:fail auth deny', 'network'], ['login:fail access denied', 'network'],
    [{ errMsg: 'login:fail', errno: 5 }, 'network'], [{ errMsg: 'login:fail auth denied', errno: 103 }, 'network'],
    ['login:fail the permission value is offline verifying', 'not_permitted'],
    ['login:fail jsapi has no permission, event=login, runningState=background', 'not_permitted'],
    ['login:fail privacy permission is not authorized', 'not_permitted'], ['login:fail api unauthorized', 'not_permitted'],
    [{ errMsg: 'login:fail', errno: 104 }, 'not_permitted'], [{ errMsg: 'login:fail', errno: 112 }, 'not_permitted'],
    ['login:fail cancelled', 'aborted'],
  ],
  request: [
    ['request:fail', 'network'], ['request:fail timeout', 'network'], [{ errMsg: 'request:fail time out', errno: 5 }, 'network'],
    ['request:fail net::ERR_NETWORK_ACCESS_DENIED', 'network'], ['request:fail access denied', 'network'],
    ['request:fail errcode:-138 cronet_error_code:-138 error_msg:net::ERR_NETWORK_ACCESS_DENIED', 'network'],
    ['request:fail -109:net::ERR_ADDRESS_UNREACHABLE', 'network'], ['request:fail ssl hand shake error', 'network'],
    ['request:fail net::ERR_CONNECTION_ABORTED', 'network'], ['request:fail Software caused connection abort', 'network'],
    ['request:fail net::ERR_ABORTED', 'network'], ['request:fail connection denied by the proxy', 'network'],
    ['request:fail permission denied', 'network'], ['request:fail file not found', 'network'],
    ...[600000, 600001, 600003, 600004, 600005, 600006, 600007, 600008, 600009].map((errno) => (
      [{ errMsg: 'request:fail', errno }, 'network'])),
    [{ errMsg: 'request:fail:network interrupted error', errno: 600003 }, 'network'],
    [{ errMsg: 'request:fail net::ERR_NETWORK_ACCESS_DENIED', errno: 600001 }, 'network'],
    ['request:fail url not in domain list', 'not_permitted'], [{ errMsg: 'request:fail', errno: 600002 }, 'not_permitted'],
    [{ errMsg: 'request:fail url not in domain list', errno: 600002 }, 'not_permitted'],
    [{ errMsg: 'request:fail', errno: '112' }, 'not_permitted'], ['request:fail no permission', 'not_permitted'],
    ['request:fail abort', 'aborted'], ['request:fail aborted', 'aborted'], ['request:fail:abort', 'aborted'],
    ['request:fail cancelled', 'aborted'], ['request:fail canceled', 'aborted'], ['request:fail 已取消', 'aborted'],
    ['request:fail -999:cancelled', 'aborted'], ['request:fail The user aborted a request.', 'aborted'],
    ['abort', 'aborted'],
  ],
  uploadFile: [
    ['uploadFile:fail timeout', 'network'], ['uploadFile:fail net::ERR_NETWORK_ACCESS_DENIED', 'network'],
    ['uploadFile:fail access denied', 'network'], ['uploadFile:fail host does not exist', 'network'],
    [{ errMsg: 'uploadFile:fail', errno: 600001 }, 'network'],
    ['uploadFile:fail file not found', 'file_gone'], ['uploadFile:fail createUploadTask:fail file not found', 'file_gone'],
    ['uploadFile:fail net::ERR_FILE_NOT_FOUND', 'file_gone'], ['uploadFile:fail file doesn\'t exist', 'file_gone'],
    ['uploadFile:fail ENOENT: no such file or directory, open wxfile://tmp_1', 'file_gone'],
    ['uploadFile:fail no such file or directory', 'file_gone'], ['uploadFile:fail 文件不存在', 'file_gone'],
    ['uploadFile:fail permission denied, open "wxfile://tmp_1"', 'file_gone'], ['uploadFile:fail EACCES: permission denied', 'file_gone'],
    [{ errMsg: 'uploadFile:fail', errno: 1300002 }, 'file_gone'], [{ errMsg: 'uploadFile:fail', errno: 1300013 }, 'file_gone'],
    ['uploadFile:fail url not in domain list', 'not_permitted'], ['uploadFile:fail no permission', 'not_permitted'],
    [{ errMsg: 'uploadFile:fail api scope is not declared in the privacy agreement', errno: 112 }, 'not_permitted'],
    ['uploadFile:fail abort', 'aborted'], ['uploadFile:fail cancelled', 'aborted'],
  ],
  getUserInfo: [
    ['getUserInfo:fail auth deny', 'refused'], ['getUserInfo:fail:auth denied', 'refused'],
    ['getUserInfo:fail auth canceled', 'refused'], ['getUserInfo:fail cancel', 'refused'],
    ['getUserInfo:fail user deny', 'refused'], ['getUserInfo:fail scope unauthorized', 'refused'],
    ['getUserInfo:fail authorize deny', 'refused'],
    ...[3, 103, 104].map((errno) => [{ errMsg: 'getUserInfo:fail', errno }, 'refused']),
    [{ errMsg: 'getUserInfo:fail privacy permission is not authorized', errno: 104 }, 'refused'],
    ['getUserInfo:fail privacy permission is not authorized', 'refused'],
    ['getUserInfo:fail system error', 'network'], ['getUserInfo:fail timeout', 'network'],
    ['getUserInfo:fail net::ERR_NETWORK_ACCESS_DENIED', 'network'], [{ errMsg: 'getUserInfo:fail', errno: 5 }, 'network'],
    ['getUserInfo:fail api scope is not declared in the privacy agreement', 'not_permitted'],
    [{ errMsg: 'getUserInfo:fail auth deny', errno: 112 }, 'not_permitted'],
    ['getUserInfo:fail no permission', 'not_permitted'],
    ['getUserInfo:fail the permission value is offline verifying', 'not_permitted'],
  ],
};

const BUTTONS = {
  bindPhone: [
    ['getPhoneNumber:fail user deny', 'refused'], ['getPhoneNumber:fail:user cancel', 'refused'],
    ['getPhoneNumber:fail user cancel', 'refused'], ['getPhoneNumber:fail', 'refused'],
    ['getPhoneNumber:fail privacy permission is not authorized', 'refused'],
    [{ errMsg: 'getPhoneNumber:fail', errno: 104 }, 'refused'],
    ['getPhoneNumber:fail no permission', 'not_permitted'], ['getPhoneNumber:fail jsapi has no permission', 'not_permitted'],
    [{ errMsg: 'getPhoneNumber:fail api scope is not declared in the privacy agreement', errno: 112 }, 'not_permitted'],
    [{ errMsg: 'getPhoneNumber:fail', errno: 112 }, 'not_permitted'],
    [{ errMsg: 'getPhoneNumber:fail', errno: 1400001 }, 'phone_quota'], ['getPhoneNumber:fail no quota', 'phone_quota'],
    ['getPhoneNumber:fail timeout', 'network'], ['getPhoneNumber:fail network error', 'network'],
    [{ errMsg: 'getPhoneNumber:fail', errno: 600001 }, 'network'], [{ errMsg: 'getPhoneNumber:fail', errno: 5 }, 'network'],
    [{}, 'refused'], [undefined, 'refused'], [null, 'refused'], [7, 'refused'],
  ],
  chosenAvatar: [
    ['chooseAvatar:fail cancel', 'refused'], ['chooseAvatar:fail', 'refused'], [{ avatarUrl: '' }, 'refused'],
    [{ errMsg: 'chooseAvatar:fail privacy permission is not authorized', errno: 104 }, 'refused'],
    [{ errMsg: 'chooseAvatar:fail api scope is not declared in the privacy agreement', errno: 112 }, 'not_permitted'],
    ['chooseAvatar:fail jsapi has no permission', 'not_permitted'], ['chooseAvatar:fail timeout', 'network'],
    [undefined, 'refused'], [null, 'refused'],
  ],
};

const asDetail = (given) => (typeof given === 'string' ? { errMsg: given } : given);
const told = (given) => (given && asDetail(given).errMsg) || '';

for (const [name, failures] of Object.entries(FAILURES)) {
  test(`what the failures of wx.${name} mean`, async () => {
    const phone = name === 'login' ? takePhone() : await openPhone();
    const client = phone.client || launch(phone);
    for (const [given, code] of failures) {
      phone.wx[name] = ({ fail }) => fail(asDetail(given));
      await assert.rejects(CALLS[name](client), { status: 0, code, action: 'none', detail: told(given), retryAfter: 0 },
        JSON.stringify(given));
    }
    assert.deepEqual(phone.seen.requests, []);
    if (phone.token) assert.equal(tokenOf(phone), phone.token);
  });

  test(`a wx.${name} that fails without a word is the network's`, async () => {
    const phone = name === 'login' ? takePhone() : await openPhone();
    const client = phone.client || launch(phone);
    for (const nothing of [undefined, null, {}, '', 7, [], { errMsg: undefined }, { errMsg: null }, { errMsg: {} }, { errno: {} }]) {
      phone.wx[name] = ({ fail }) => fail(nothing);
      await assert.rejects(CALLS[name](client), { code: 'network', detail: '' }, JSON.stringify(nothing));
    }
    phone.wx[name] = ({ fail }) => fail(`${name}:fail a text alone`);
    await assert.rejects(CALLS[name](client), { code: 'network', detail: `${name}:fail a text alone` });
    phone.wx[name] = ({ fail }) => fail(new Error(`${name}:fail an Error`));
    await assert.rejects(CALLS[name](client), { code: 'network', detail: `${name}:fail an Error` });
  });
}

for (const [name, failures] of Object.entries(BUTTONS)) {
  test(`what the failures of the button of ${name} mean`, async () => {
    const phone = takePhone();
    const client = launch(phone);
    for (const [given, code] of failures) {
      await assert.rejects(client[name](asDetail(given)), { status: 0, code, action: 'none', detail: told(given) },
        JSON.stringify(given));
    }
    assert.deepEqual([phone.seen.logins, phone.seen.requests], [0, []]);
  });
}

test('an avatar that was chosen is its file', async () => {
  assert.equal(await launch(takePhone()).chosenAvatar({ avatarUrl: 'wxfile://tmp_1' }), 'wxfile://tmp_1');
});

test('each code of the client has a sentence of its own', () => {
  const codes = ['aborted', 'file_gone', 'foreign_url', 'logged_out', 'network', 'not_permitted', 'not_set_up',
    'nothing_to_save', 'phone_quota', 'refused', 'unsupported'];
  const generic = explain({ code: 'unknown' });
  for (const code of codes) {
    const sentence = explain({ code, status: 0, action: 'none', detail: '', requestId: '', retryAfter: 0 });
    assert.ok(sentence !== generic && /^[\u4e00-\u9fff].*。$/.test(sentence), code);
  }
});
