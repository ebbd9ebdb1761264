// updateUserInfo(), saveProfile() and bindPhone(): what is sent, under which session_key, and what comes back.

const assert = require('node:assert/strict');
const classic = require('./classic.js');
const { server, simulator, PICTURE, watch, answerWith } = require('./phone.js');
const {
  LOGIN, GET_USER, UPDATE, UPLOAD, BIND, CALLS, logIn, update, save, endSession, answering, failing, atOnce, times, whileAnswer,
  newPhone, openPhone, planted, check, checks, kept,
} = require('./session.js');

const UNDECRYPTABLE = 'POST /updateUserInfo 422';

// --- updateUserInfo: WeChat's own profile of the user.

const replaceKey = ({ device }) => device.replaceSessionKey();
const forgetRequests = ({ seen }) => { seen.requests.length = 0; };

/** updates is update, which must give the user's profile. */
const updates = async (phone) => assert.equal((await update(phone)).userInfo.nickName, phone.user);

/** changing changes what wx.getUserInfo gives from then on. */
const changing = (change) => ({ wx }) => {
  const { getUserInfo } = wx;
  wx.getUserInfo = (options) => getUserInfo({ ...options, success: (given) => options.success(change(given)) });
};

/** logInElsewhere is a login of another page, which does not use the client. */
function logInElsewhere({ wx }) {
  globalThis.wx = wx;
  return new Promise((done, fail) => { classic.login(server, done, (problem) => fail(new Error(problem.code))); });
}

checks(openPhone, {
  'an update fills the profile in, and sends only what proves the data': [async (phone) => {
    const [asked, sent] = ['getUserInfo', 'request'].map((name) => watch(phone.wx, name));
    const { anonymous, profileComplete, userInfo, ...more } = await update(phone);
    assert.deepEqual([anonymous, profileComplete, userInfo.nickName, more], [false, true, phone.user, { phoneNumber: '' }]);
    assert.match(userInfo.avatarUrl, /^https?:/);
    assert.deepEqual([asked[0].withCredentials, asked[0].lang], [true, 'zh_CN']);
    assert.deepEqual(Object.keys(sent[0].data).sort(), ['encryptedData', 'iv', 'rawData', 'signature']);
    assert.equal(sent[0].header['content-type'], 'application/x-www-form-urlencoded');
  }, { requests: [UPDATE] }],
  'without rawData and signature the update sends no text "undefined"': [[
    changing(({ encryptedData, iv }) => ({ encryptedData, iv })), async (phone) => {
      const sent = watch(phone.wx, 'request');
      await updates(phone);
      assert.deepEqual(Object.keys(sent[0].data).sort(), ['encryptedData', 'iv']);
    }]],
  'after a relogin the data is new': [[replaceKey, async (phone) => {
    const [asked, sent] = ['getUserInfo', 'request'].map((name) => watch(phone.wx, name));
    await updates(phone);
    assert.equal(asked.length, 2);
    assert.ok(sent[0].data.encryptedData !== sent[2].data.encryptedData);
  }], { requests: [UNDECRYPTABLE, LOGIN, UPDATE], logins: 1 }],
  'parallel updates after WeChat replaced the key need one more login': [[replaceKey, times(3, update)], { logins: 1 }],
  'data under the newer key with the older token needs no login': [[replaceKey, logInElsewhere, forgetRequests, updates],
    { requests: [UPDATE] }],
});

checks(newPhone, {
  'the data is asked for after the login, never before': [async (phone) => {
    const asked = watch(phone.wx, 'getUserInfo');
    await whileAnswer('/onLogin', updates, () => assert.equal(asked.length, 0))(phone);
    assert.equal(asked.length, 1);
  }, { requests: [LOGIN, UPDATE] }],
  'data under the older key with the newer token needs no login': [[logInElsewhere, async (phone) => {
    const older = await new Promise((success) => { phone.wx.getUserInfo({ success }); });
    await replaceKey(phone);
    await logIn(phone);
    answerWith(phone.wx, 'getUserInfo', older);
  }, forgetRequests, updates], { requests: [UPDATE] }],
});

check('a placeholder is reported, and overwrites nothing', openPhone, async (phone) => {
  const { user } = phone;
  const { userInfo } = await update(phone);
  assert.deepEqual(await update(await openPhone({ user, anonymous: true })),
    { anonymous: true, profileComplete: true, phoneNumber: '', userInfo });
  const answer = await update(await openPhone({ anonymous: true }));
  assert.deepEqual([answer.anonymous, answer.profileComplete, answer.userInfo.nickName], [true, false, '']);
});

for (const [field, tamper] of Object.entries({
  rawData: (text) => text.replace('user', 'root'), signature: (text) => text.replace(/./g, '0'),
  encryptedData: () => Buffer.alloc(64, 7).toString('base64'),
})) {
  check(`a ${field} that was tampered with is refused, after one relogin`, openPhone, [
    changing((given) => ({ ...given, [field]: tamper(given[field]) })),
    failing(update, { status: 422, code: 'undecryptable', action: 'relogin' }),
    async (phone) => assert.equal((await logIn(phone)).userInfo.nickName, ''),
  ], { requests: [UNDECRYPTABLE, LOGIN, UNDECRYPTABLE, GET_USER] });
}

// --- saveProfile: the nickname that the user typed, and the picture that the user chose.

const picture = async ({ device }) => (await device.chooseAvatar()).avatarUrl;
const both = async (phone) => ({ nickName: '小明', avatarFile: await picture(phone) });
const saveBoth = async (phone) => phone.client.saveProfile(await both(phone));

checks(openPhone, {
  'a nickname alone needs no picture': [async (phone) => {
    const sent = watch(phone.wx, 'request');
    const { profileComplete, userInfo, ...more } = await save({ nickName: '小明 🐼' })(phone);
    assert.deepEqual([profileComplete, userInfo.nickName, userInfo.avatarUrl, more], [false, '小明 🐼', '', { phoneNumber: '' }]);
    assert.deepEqual(sent[0].data, { nickName: '小明 🐼' });
  }, { requests: [UPDATE] }],
  'a picture alone needs no nickname, and is one file with the token': [async (phone) => {
    const uploads = watch(phone.wx, 'uploadFile');
    const avatarFile = await picture(phone);
    const { profileComplete, userInfo, ...more } = await phone.client.saveProfile({ avatarFile });
    assert.deepEqual([profileComplete, userInfo.nickName, more], [false, '', { phoneNumber: '' }]);
    assert.equal((await fetch(userInfo.avatarUrl)).headers.get('content-type'), 'image/jpeg');
    const { url, filePath, name, header } = uploads[0];
    assert.deepEqual({ url, filePath, name }, { url: server + '/uploadAvatar', filePath: avatarFile, name: 'file' });
    assert.ok(header.Authorization === 'Bearer ' + phone.token);
  }, { requests: [UPLOAD] }],
  'both complete the profile, the nickname first': [async (phone) => {
    const saved = await saveBoth(phone);
    assert.deepEqual([saved.profileComplete, saved.userInfo.nickName], [true, '小明']);
    assert.deepEqual((await logIn(phone)).userInfo, saved.userInfo);
  }, { requests: [UPDATE, UPLOAD, GET_USER] }],
  'a nickname that is refused costs no upload': [async (phone) => (
    phone.client.saveProfile({ ...await both(phone), nickName: 'x'.repeat(1000) })
  ), { fails: { status: 400, code: 'invalid_request', action: 'none' }, requests: ['POST /updateUserInfo 400'] }],
  'a picture that is refused leaves the nickname saved': [[
    failing(save({ nickName: '小明', avatarFile: PICTURE }), ({ status, action }) => (
      status >= 400 && status < 500 && action === 'none')),
    ({ seen: { requests } }) => {
      assert.match(requests[1], /^POST \/uploadAvatar 4/);
      assert.equal(requests.length, 2);
    },
    async (phone) => assert.equal((await logIn(phone)).userInfo.nickName, '小明'),
  ]],
  'a picture that the phone has lost is reported': [save({ avatarFile: 'wxfile://tmp_gone' }),
    { fails: { status: 0, code: 'file_gone', detail: 'uploadFile:fail file not found' }, requests: [] }],
  'a token that ends between nickname and picture is replaced': [async (phone) => {
    assert.ok((await whileAnswer('/updateUserInfo', saveBoth, endSession)(phone)).profileComplete);
  }, { requests: [UPDATE, 'POST /uploadAvatar 401', LOGIN, UPLOAD] }],
});

check('two saves at once both arrive', newPhone, async (phone) => {
  const saved = await atOnce(saveBoth, saveBoth)(phone);
  assert.ok(saved.every(({ profileComplete, userInfo }) => profileComplete && userInfo.nickName === '小明'));
  phone.seen.requests.sort();
}, { requests: [LOGIN, UPDATE, UPDATE, UPLOAD, UPLOAD] });

for (const given of [undefined, {}, { nickName: '' }, { nickName: '', avatarFile: '' }, { avatarFile: undefined }]) {
  check(`${JSON.stringify(given)} is nothing to save, and costs no login`, newPhone, save(given),
    { fails: { status: 0, code: 'nothing_to_save', action: 'none' }, requests: [], logins: 0 });
}

for (const avatarFile of ['https://img.example.com/me.jpg', 'HTTPS://img.example.com/me.jpg']) {
  check(`${avatarFile} is an address, and not uploaded`, planted(), async (phone) => {
    const profile = { profileComplete: true, phoneNumber: '', userInfo: { nickName: '小明' } };
    phone.net.answer('POST /updateUserInfo', [200, profile]);
    const sent = watch(phone.wx, 'request');
    assert.deepEqual(await save({ nickName: '小明', avatarFile })(phone), profile);
    await save({ avatarFile })(phone);
    assert.deepEqual(sent.map(({ data }) => data), [{ nickName: '小明', avatarUrl: avatarFile }, { avatarUrl: avatarFile }]);
  }, { requests: [UPDATE, UPDATE] });
}

for (const avatarFile of ['http://tmp/a.jpg', 'wxfile://tmp_https://a.jpg']) {
  check(`${avatarFile} is a file of the phone`, planted(), async (phone) => {
    const uploads = answerWith(phone.wx, 'uploadFile', { statusCode: 200, data: '{"status":200}' });
    await save({ avatarFile })(phone);
    assert.equal(uploads[0].filePath, avatarFile);
  }, { requests: [] });
}

const DONE = { userInfo: { nickName: '小明' }, profileComplete: true, phoneNumber: '138****1234' };
const BUSY = { statusCode: 503, data: '{"status":503,"action":"retry"}' };
const text = JSON.stringify({ status: 200, ...DONE });

for (const [name, waits, ...answers] of [
  ['a busy server without headers', [1], BUSY, { statusCode: 200, data: text }],
  ['a busy server with a time to wait', [3], { ...BUSY, header: { 'Retry-After': '3' } }, { statusCode: 200, data: text }],
  ['an object', [], { statusCode: 200, data: JSON.parse(text) }],
]) {
  check(`an upload that meets ${name} succeeds`, planted(), [
    ({ wx }) => answerWith(wx, 'uploadFile', ...answers), CALLS['saveProfile, of a picture'],
  ], { gives: DONE, waits });
}

// --- bindPhone: what the phone button gave, in the new way and in the old one.

const bind = async ({ client, device }) => client.bindPhone(await device.getPhoneNumber());
const bindOldWay = async ({ client, device }) => client.bindPhone(await device.getPhoneNumber({ old: true }));

for (const [way, step, fields] of [['the code', bind, ['code']], ['the old way', bindOldWay, ['encryptedData', 'iv']]]) {
  check(`${way} binds the number, of which only both ends come back`, openPhone, async (phone) => {
    const sent = watch(phone.wx, 'request');
    const answers = [];
    const { request } = phone.wx;
    phone.wx.request = (options) => request({
      ...options, success: (res) => { answers.push(JSON.stringify(res)); options.success(res); },
    });
    const bound = await step(phone);
    const { phoneNumber: number } = await (await fetch(`${simulator}/sim/account?user=${phone.user}`)).json();
    assert.deepEqual(Object.keys(bound).sort(), ['countryCode', 'phoneNumber']);
    assert.equal(bound.countryCode, '86');
    assert.ok(/^\d{3}\*{4}\d{4}$/.test(bound.phoneNumber));
    assert.ok(number.startsWith(bound.phoneNumber.slice(0, 3)) && number.endsWith(bound.phoneNumber.slice(-4)));
    assert.deepEqual(Object.keys(sent[0].data).sort(), fields);
    await logIn(phone);
    assert.equal(answers.length, 2);
    for (const each of [...answers, JSON.stringify(kept(phone))]) assert.ok(!each.includes(number));
  }, { requests: [BIND, GET_USER] });
}

checks(openPhone, {
  'a number that is bound comes with every answer about the user': [async (phone) => {
    const { phoneNumber } = await bind(phone);
    for (const answer of [
      await logIn(phone), await logIn(newPhone({ user: phone.user })), await update(phone), await save({ nickName: '小明' })(phone),
      await save({ avatarFile: await picture(phone) })(phone),
    ]) assert.equal(answer.phoneNumber, phoneNumber);
    assert.ok(!JSON.stringify(kept(phone)).includes(phoneNumber));
  }],
  'of a button that gives both, the code is taken': [async ({ client, wx, device }) => {
    const sent = watch(wx, 'request');
    await client.bindPhone({ ...await device.getPhoneNumber({ old: true }), ...await device.getPhoneNumber() });
    assert.deepEqual(Object.keys(sent[0].data), ['code']);
  }],
  'a used code wants the button pressed again, and no login': [[async ({ client, device }) => {
    const detail = await device.getPhoneNumber();
    await client.bindPhone(detail);
    await assert.rejects(client.bindPhone(detail), { status: 400, code: 'invalid_code', action: 'none', retryAfter: 0 });
  }, bind], { requests: [BIND, 'POST /bindPhone 400', BIND], logins: 0, token: 'same' }],
  'one code pressed twice at once binds once': [async ({ client, device, seen }) => {
    const detail = await device.getPhoneNumber();
    const ends = await Promise.allSettled([client.bindPhone(detail), client.bindPhone(detail)]);
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    seen.requests.sort();
  }, { requests: [BIND, 'POST /bindPhone 400'] }],
  'a token that has ended is replaced, and the code is still good': [[endSession, bind],
    { requests: ['POST /bindPhone 401', LOGIN, BIND] }],
  'the old way under a key that the server never saw needs one login': [[replaceKey, bindOldWay],
    { requests: ['POST /bindPhone 422', LOGIN, BIND], logins: 1 }],
  'a busy server is waited for, with the same code': [[
    answering('POST /bindPhone', [503, { action: 'retry' }, { 'Retry-After': '2' }],
      [200, { phoneNumber: '1****8', countryCode: '86' }]),
    async (phone) => {
      const sent = watch(phone.wx, 'request');
      assert.deepEqual(await bind(phone), { phoneNumber: '1****8', countryCode: '86' });
      assert.ok(sent.length === 2 && sent[0].data.code === sent[1].data.code);
    },
  ], { logins: 0, waits: [2] }],
});
