// updateUserInfo(), saveProfile() and bindPhone(): what is sent, under which session_key, and what comes back.

const assert = require('node:assert/strict');
const test = require('node:test');
const classic = require('./classic.js');
const { server, simulator, launch, watch, answerWith } = require('./phone.js');
const { LOGIN, USER_INFO, newPhone, openPhone, check, checks, assertSeen, kept, tokenOf, end } = require('./session.js');

const UPDATE = 'POST /updateUserInfo 200';
const UPLOAD = 'POST /uploadAvatar 200';
const BIND = 'POST /bindPhone 200';

// --- updateUserInfo: WeChat's own profile of the user.

/** changeProfile changes what wx.getUserInfo gives from now on. */
function changeProfile({ wx }, change) {
  const { getUserInfo } = wx;
  wx.getUserInfo = (options) => getUserInfo({ ...options, success: (given) => options.success(change(given)) });
}

/** logInElsewhere is a login of another page, which does not use the client. */
function logInElsewhere({ wx }) {
  globalThis.wx = wx;
  return new Promise((done, fail) => { classic.login(server, done, (problem) => fail(new Error(problem.code))); });
}

checks(openPhone, {
  'an update fills the profile in, and sends only what proves the data': [async ({ client, user, wx }) => {
    const asked = watch(wx, 'getUserInfo');
    const sent = watch(wx, 'request');
    const { anonymous, profileComplete, userInfo, ...more } = await client.updateUserInfo();
    assert.deepEqual([anonymous, profileComplete, userInfo.nickName, more], [false, true, user, { phoneNumber: '' }]);
    assert.match(userInfo.avatarUrl, /^https?:/);
    assert.deepEqual([asked[0].withCredentials, asked[0].lang], [true, 'zh_CN']);
    assert.deepEqual(Object.keys(sent[0].data).sort(), ['encryptedData', 'iv', 'rawData', 'signature']);
    assert.equal(sent[0].header['content-type'], 'application/x-www-form-urlencoded');
  }, { requests: [UPDATE] }],

  'without rawData and signature the update sends no text "undefined"': [async (phone) => {
    changeProfile(phone, ({ encryptedData, iv }) => ({ encryptedData, iv }));
    const sent = watch(phone.wx, 'request');
    assert.equal((await phone.client.updateUserInfo()).userInfo.nickName, phone.user);
    assert.deepEqual(Object.keys(sent[0].data).sort(), ['encryptedData', 'iv']);
  }],

  'after a relogin the data is new': [async ({ client, user, wx, device }) => {
    const asked = watch(wx, 'getUserInfo');
    const sent = watch(wx, 'request');
    await device.replaceSessionKey();
    assert.equal((await client.updateUserInfo()).userInfo.nickName, user);
    assert.equal(asked.length, 2);
    assert.ok(sent[0].data.encryptedData !== sent[2].data.encryptedData);
  }, { requests: ['POST /updateUserInfo 422', LOGIN, UPDATE], logins: 1 }],

  'parallel updates after WeChat replaced the key need one more login': [async ({ client, device }) => {
    await device.replaceSessionKey();
    await Promise.all([client.updateUserInfo(), client.updateUserInfo(), client.updateUserInfo()]);
  }, { logins: 1 }],

  'data under the newer key with the older token needs no login': [async (phone) => {
    await phone.device.replaceSessionKey();
    await logInElsewhere(phone);
    phone.seen.requests.length = 0;
    assert.equal((await phone.client.updateUserInfo()).userInfo.nickName, phone.user);
  }, { requests: [UPDATE] }],
});

checks(newPhone, {
  'the data is asked for after the login, never before': [async ({ client, user, wx, net }) => {
    const asked = watch(wx, 'getUserInfo');
    const update = await net.whileAnswerHeld('/onLogin', () => client.updateUserInfo(), () => assert.equal(asked.length, 0));
    assert.equal(update.userInfo.nickName, user);
    assert.equal(asked.length, 1);
  }, { requests: [LOGIN, UPDATE] }],

  'parallel updates on a fresh phone share one login': [async ({ client, user }) => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.updateUserInfo()));
    assert.ok(answers.every(({ userInfo }) => userInfo.nickName === user));
  }, { logins: 1 }],

  'data under the older key with the newer token needs no login': [async (phone) => {
    await logInElsewhere(phone);
    const older = await new Promise((success, fail) => { phone.wx.getUserInfo({ success, fail }); });
    await phone.device.replaceSessionKey();
    await phone.client.login();
    answerWith(phone.wx, 'getUserInfo', older);
    phone.seen.requests.length = 0;
    assert.equal((await phone.client.updateUserInfo()).userInfo.nickName, phone.user);
  }, { requests: [UPDATE] }],
});

test('a placeholder is reported, and overwrites nothing', async () => {
  const { client, user } = await openPhone();
  const { userInfo } = await client.updateUserInfo();
  const today = await openPhone({ user, anonymous: true });
  assert.deepEqual(await today.client.updateUserInfo(), { anonymous: true, profileComplete: true, phoneNumber: '', userInfo });
  const stranger = await openPhone({ anonymous: true });
  const answer = await stranger.client.updateUserInfo();
  assert.deepEqual([answer.anonymous, answer.profileComplete, answer.userInfo.nickName], [true, false, '']);
});

for (const [field, tamper] of Object.entries({
  rawData: (text) => text.replace('user', 'root'), signature: (text) => text.replace(/./g, '0'),
  encryptedData: () => Buffer.alloc(64, 7).toString('base64'),
})) {
  check(`a ${field} that was tampered with is refused, after one relogin`, openPhone, async (phone) => {
    changeProfile(phone, (given) => ({ ...given, [field]: tamper(given[field]) }));
    await assert.rejects(phone.client.updateUserInfo(), { status: 422, code: 'undecryptable', action: 'relogin' });
    await assertSeen(phone, { requests: ['POST /updateUserInfo 422', LOGIN, 'POST /updateUserInfo 422'] });
    assert.equal((await phone.client.login()).userInfo.nickName, '');
  });
}

// --- saveProfile: the nickname that the user typed, and the picture that the user chose.

const picture = async ({ device }) => (await device.chooseAvatar()).avatarUrl;

checks(openPhone, {
  'a nickname alone needs no picture': [async ({ client, wx }) => {
    const sent = watch(wx, 'request');
    const { profileComplete, userInfo, ...more } = await client.saveProfile({ nickName: '小明 🐼' });
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
    const saved = await phone.client.saveProfile({ nickName: '小明', avatarFile: await picture(phone) });
    assert.deepEqual([saved.profileComplete, saved.userInfo.nickName], [true, '小明']);
    assert.deepEqual((await phone.client.login()).userInfo, saved.userInfo);
  }, { requests: [UPDATE, UPLOAD, 'GET /userInfo 200'] }],

  'a nickname that is refused costs no upload': [async (phone) => (
    phone.client.saveProfile({ nickName: 'x'.repeat(1000), avatarFile: await picture(phone) })
  ), { fails: { status: 400, code: 'invalid_request', action: 'none' }, requests: ['POST /updateUserInfo 400'] }],

  'a picture that is refused leaves the nickname saved': [async ({ client, device, seen }) => {
    device.fileOf = () => ({ bytes: new TextEncoder().encode('no picture'), type: 'image/jpeg' });
    await assert.rejects(client.saveProfile({ nickName: '小明', avatarFile: 'wxfile://tmp_1' }),
      ({ status, action }) => status >= 400 && status < 500 && action === 'none');
    assert.match(seen.requests[1], /^POST \/uploadAvatar 4/);
    assert.equal(seen.requests.length, 2);
    assert.equal((await client.login()).userInfo.nickName, '小明');
  }],

  'a picture that the phone has lost is reported': [({ client }) => client.saveProfile({ avatarFile: 'wxfile://tmp_gone' }),
    { fails: { status: 0, code: 'file_gone', detail: 'uploadFile:fail file not found' }, requests: [] }],

  'a token that ends between nickname and picture is replaced': [async (phone) => {
    const given = { nickName: '小明', avatarFile: await picture(phone) };
    const saved = await phone.net.whileAnswerHeld('/updateUserInfo', () => phone.client.saveProfile(given), () => end(phone.token));
    assert.ok(saved.profileComplete);
  }, { requests: [UPDATE, 'POST /uploadAvatar 401', LOGIN, UPLOAD] }],
});

check('two saves at once both arrive', newPhone, async (phone) => {
  const given = { nickName: '小明', avatarFile: await picture(phone) };
  const both = await Promise.all([phone.client.saveProfile(given), phone.client.saveProfile(given)]);
  assert.ok(both.every(({ profileComplete, userInfo }) => profileComplete && userInfo.nickName === '小明'));
  phone.seen.requests.sort();
}, { requests: [LOGIN, UPDATE, UPDATE, UPLOAD, UPLOAD] });

for (const given of [undefined, {}, { nickName: '' }, { nickName: '', avatarFile: '' }, { avatarFile: undefined }]) {
  check(`${JSON.stringify(given)} is nothing to save, and costs no login`, newPhone, ({ client }) => client.saveProfile(given),
    { fails: { status: 0, code: 'nothing_to_save', action: 'none' }, requests: [], logins: 0 });
}

for (const avatarFile of ['https://img.example.com/me.jpg', 'HTTPS://img.example.com/me.jpg']) {
  check(`${avatarFile} is an address, and not uploaded`, openPhone, async ({ client, wx, net }) => {
    const profile = { profileComplete: true, phoneNumber: '', userInfo: { nickName: '小明' } };
    net.answer('POST /updateUserInfo', [200, profile]);
    const sent = watch(wx, 'request');
    assert.deepEqual(await client.saveProfile({ nickName: '小明', avatarFile }), profile);
    await client.saveProfile({ avatarFile });
    assert.deepEqual(sent.map(({ data }) => data), [{ nickName: '小明', avatarUrl: avatarFile }, { avatarUrl: avatarFile }]);
  }, { requests: [UPDATE, UPDATE] });
}

for (const avatarFile of ['http://tmp/a.jpg', 'wxfile://tmp_https://a.jpg']) {
  check(`${avatarFile} is a file of the phone`, openPhone, async ({ client, wx }) => {
    const uploads = answerWith(wx, 'uploadFile', { statusCode: 200, data: '{"status":200}' });
    await client.saveProfile({ avatarFile });
    assert.equal(uploads[0].filePath, avatarFile);
  }, { requests: [] });
}

for (const [name, statusCode, data, code = 'unknown'] of [
  ['a proxy\'s page', 502, '<html></html>'], ['nothing', 200, ''],
  ['a Problem of the server', 413, '{"status":413,"code":"request_too_large","action":"none"}', 'request_too_large'],
]) {
  check(`an upload that is answered with ${name}, without headers, is a failure`, openPhone, async ({ client, wx }) => {
    const uploads = answerWith(wx, 'uploadFile', { statusCode, data });
    await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://tmp_1' }), { status: statusCode, code, action: 'none' });
    assert.equal(uploads.length, 1);
  }, { logins: 0 });
}

const DONE = { userInfo: { nickName: '小明' }, profileComplete: true, phoneNumber: '138****1234' };

for (const [header, seconds] of [[undefined, 1], [{ 'Retry-After': '3' }, 3]]) {
  check(`an upload that meets a busy server waits ${seconds} s`, openPhone, ({ client, wx }) => {
    answerWith(wx, 'uploadFile', { statusCode: 503, data: '{"status":503,"action":"retry"}', header },
      { statusCode: 200, data: JSON.stringify({ status: 200, ...DONE }) });
    return client.saveProfile({ avatarFile: 'wxfile://tmp_1' });
  }, { gives: DONE, waits: [seconds] });
}

check('an upload\'s answer may be an object or a text', openPhone, async ({ client, wx }) => {
  for (const data of [{ status: 200, ...DONE }, JSON.stringify({ status: 200, ...DONE })]) {
    answerWith(wx, 'uploadFile', { statusCode: 200, data });
    assert.deepEqual(await client.saveProfile({ avatarFile: 'wxfile://tmp_1' }), DONE);
  }
});

// --- bindPhone: what the phone button gave, in the new way and in the old one.

for (const [way, old, fields] of [['the code', false, ['code']], ['the old way', true, ['encryptedData', 'iv']]]) {
  check(`${way} binds the number, of which only both ends come back`, openPhone, async (phone) => {
    const { client, user, wx, device } = phone;
    const sent = watch(wx, 'request');
    const answers = [];
    const { request } = wx;
    wx.request = (options) => request({
      ...options, success: (res) => { answers.push(JSON.stringify(res)); options.success(res); },
    });
    const bound = await client.bindPhone(await device.getPhoneNumber({ old }));
    const { phoneNumber: number } = await (await fetch(`${simulator}/sim/account?user=${user}`)).json();
    assert.deepEqual(Object.keys(bound).sort(), ['countryCode', 'phoneNumber']);
    assert.equal(bound.countryCode, '86');
    assert.ok(/^\d{3}\*{4}\d{4}$/.test(bound.phoneNumber));
    assert.ok(number.startsWith(bound.phoneNumber.slice(0, 3)) && number.endsWith(bound.phoneNumber.slice(-4)));
    assert.deepEqual(Object.keys(sent[0].data).sort(), fields);
    await client.login();
    assert.equal(answers.length, 2);
    for (const text of [...answers, JSON.stringify(kept(phone))]) assert.ok(!text.includes(number));
  }, { requests: [BIND, 'GET /userInfo 200'] });
}

checks(openPhone, {
  'a number that is bound comes with every answer about the user': [async (phone) => {
    const { client, device, user } = phone;
    const { phoneNumber } = await client.bindPhone(await device.getPhoneNumber());
    for (const answer of [
      await client.login(), await newPhone({ user }).client.login(), await client.updateUserInfo(),
      await client.saveProfile({ nickName: '小明' }), await client.saveProfile({ avatarFile: await picture(phone) }),
    ]) assert.equal(answer.phoneNumber, phoneNumber);
    assert.ok(!JSON.stringify(kept(phone)).includes(phoneNumber));
  }],

  'of a button that gives both, the code is taken': [async ({ client, wx, device }) => {
    const sent = watch(wx, 'request');
    await client.bindPhone({ ...await device.getPhoneNumber({ old: true }), ...await device.getPhoneNumber() });
    assert.deepEqual(Object.keys(sent[0].data), ['code']);
  }],

  'a used code wants the button pressed again, and no login': [async (phone) => {
    const { client, device } = phone;
    const detail = await device.getPhoneNumber();
    await client.bindPhone(detail);
    await assert.rejects(client.bindPhone(detail), { status: 400, code: 'invalid_code', action: 'none', retryAfter: 0 });
    await client.bindPhone(await device.getPhoneNumber());
  }, { requests: [BIND, 'POST /bindPhone 400', BIND], logins: 0, token: 'same' }],

  'one code pressed twice at once binds once': [async ({ client, device, seen }) => {
    const detail = await device.getPhoneNumber();
    const ends = await Promise.allSettled([client.bindPhone(detail), client.bindPhone(detail)]);
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    seen.requests.sort();
  }, { requests: [BIND, 'POST /bindPhone 400'] }],

  'a token that has ended is replaced, and the code is still good': [async ({ client, device, token }) => {
    await end(token);
    await client.bindPhone(await device.getPhoneNumber());
  }, { requests: ['POST /bindPhone 401', LOGIN, BIND] }],

  'the old way under a key that the server never saw needs one login': [async ({ client, device }) => {
    await device.replaceSessionKey();
    await client.bindPhone(await device.getPhoneNumber({ old: true }));
  }, { requests: ['POST /bindPhone 422', LOGIN, BIND], logins: 1 }],

  'a busy server is waited for, with the same code': [async ({ client, wx, device, net }) => {
    const bound = { phoneNumber: '138****5678', countryCode: '86' };
    net.answer('POST /bindPhone', [503, { action: 'retry' }, { 'Retry-After': '2' }], [200, bound]);
    const sent = watch(wx, 'request');
    assert.deepEqual(await client.bindPhone(await device.getPhoneNumber()), bound);
    assert.ok(sent.length === 2 && sent[0].data.code === sent[1].data.code);
  }, { logins: 0, waits: [2] }],

  'a number that arrives after a logout is no session': [async ({ client, net, device }) => {
    const detail = await device.getPhoneNumber();
    const bound = await net.whileAnswerHeld('/bindPhone', () => client.bindPhone(detail), () => client.logout());
    assert.equal(bound.countryCode, '86');
  }, { token: '' }],
});

check('on a fresh phone the login comes first', newPhone, async ({ client, device }) => {
  await client.bindPhone(await device.getPhoneNumber());
}, { requests: [LOGIN, BIND] });
