// Odd arguments, answers and records: every promise ends as it should, and what rejects is a Problem.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith } = require('./calls.js');
const { stopClock } = require('./clock.js');
const { takePhone, launch } = require('./phone.js');
const { UNKNOWN_TOKEN, kept, openPhone, plant, tokenOf, works } = require('./session.js');

const USER_INFO = { url: '/userInfo' };
const NOTHING = { nickName: '', avatarUrl: '', gender: 0, country: '', province: '', city: '', language: '' };
const ODD = [undefined, null, 0, 7, '', 'text', true, [], [1], {}, () => {}];

function isProblem(err) {
  const { status, code, action, detail, requestId, retryAfter } = err;
  assert.ok(err instanceof Error);
  assert.deepEqual([status, code, action, detail, requestId, retryAfter].map((value) => typeof value),
    ['number', 'string', 'string', 'string', 'string', 'number']);
  return true;
}

test('odd arguments never throw, and what rejects is a Problem', async () => {
  const phone = await openPhone();
  for (const odd of ODD) {
    const { client } = phone;
    await client.login(odd);
    for (const call of [
      () => client.request(odd), () => client.request({ url: odd }), () => client.saveProfile(odd),
      () => client.saveProfile({ avatarFile: odd }), () => client.bindPhone(odd), () => client.bindPhone({ code: odd }),
      () => client.chosenAvatar(odd),
    ]) await call().catch(isProblem);
    await client.logout(odd);
  }
  assert.equal(phone.seen.loginsMost, 1);
});

test('a login without a token that can be used is a failure, and keeps nothing', async () => {
  for (const token of [undefined, null, '', 7, {}, 'a\nb', '令牌', 'x'.repeat(1000)]) {
    const phone = takePhone();
    answerWith(phone.wx, 'request', { statusCode: 200, data: { status: 200, token, expiresIn: 3600, userInfo: NOTHING } });
    const client = launch(phone);
    await assert.rejects(client.login(), { status: 200, code: 'unknown', action: 'none' });
    await assert.rejects(client.logout({ everywhere: true }), { status: 200, code: 'unknown', action: 'none' });
    assert.equal(tokenOf(phone), '');
  }
});

for (const expiresIn of [undefined, null, 0, -1, NaN, Infinity, 'a week', {}]) {
  test(`a token whose lifetime is ${expiresIn} is used for an hour`, async (t) => {
    const clock = stopClock(t);
    const phone = takePhone();
    const calls = answerWith(phone.wx, 'request', { statusCode: 200, data: { status: 200, token: UNKNOWN_TOKEN, expiresIn } });
    const client = launch(phone);
    await client.login();
    for (let i = 0; i < 3; i++) {
      clock.pass(3599);
      await client.request(USER_INFO);
    }
    assert.equal(phone.seen.logins, 1);
    assert.equal(calls.length, 4);
    clock.pass(3600);
    await client.request(USER_INFO);
    assert.equal(phone.seen.logins, 2);
  });
}

test('a lifetime that is a text is read', async (t) => {
  const clock = stopClock(t);
  const phone = takePhone();
  answerWith(phone.wx, 'request', { statusCode: 200, data: { status: 200, token: UNKNOWN_TOKEN, expiresIn: '7200' } });
  await launch(phone).login();
  assert.equal(kept(phone).expiresAt, clock.now() + 7200 * 1000);
});

test('an answer that lacks fields has the types that it should have', async () => {
  for (const odd of [undefined, null, 7, [], 'text']) {
    const phone = await openPhone();
    const data = { status: 200, token: UNKNOWN_TOKEN, userInfo: odd, profileComplete: odd, isNewUser: odd, anonymous: odd,
      phoneNumber: odd === 'text' ? null : odd, countryCode: odd === 'text' ? 86 : odd };
    answerWith(phone.wx, 'request', { statusCode: 200, data });
    answerWith(phone.wx, 'uploadFile', { statusCode: 200, data: JSON.stringify(data) });
    const profile = { userInfo: NOTHING, profileComplete: false, phoneNumber: '' };
    assert.deepEqual(await phone.client.login(), { ...profile, isNewUser: false });
    assert.deepEqual(await launch(takePhoneWith(phone)).login(), { ...profile, isNewUser: false });
    assert.deepEqual(await phone.client.updateUserInfo(), { ...profile, anonymous: false });
    assert.deepEqual(await phone.client.saveProfile({ nickName: '小明', avatarFile: 'wxfile://a' }), profile);
    assert.deepEqual(await phone.client.bindPhone({ code: 'c' }), { phoneNumber: '', countryCode: '' });
  }
});

// takePhoneWith is a fresh phone that is answered as another one.
function takePhoneWith({ wx }) {
  const phone = takePhone();
  phone.wx.request = wx.request;
  return phone;
}

test('what the user has already bound comes with every answer about the user', async () => {
  const phone = await openPhone();
  const { phoneNumber } = await phone.client.bindPhone(await phone.device.getPhoneNumber());
  assert.match(phoneNumber, /^\d{3}\*{4}\d{4}$/);
  const { avatarUrl } = await phone.device.chooseAvatar();
  for (const answer of [
    await phone.client.login(), await launch(takePhone({ user: phone.user })).login(), await phone.client.updateUserInfo(),
    await phone.client.saveProfile({ nickName: '小明' }), await phone.client.saveProfile({ avatarFile: avatarUrl }),
  ]) assert.equal(answer.phoneNumber, phoneNumber);
  assert.ok(!JSON.stringify(kept(phone)).includes(phoneNumber));
});

const ODD_BODIES = { 'an empty text': '', 'a text': 'gone', null: null, undefined, 'a list': [1], 'a number': 7,
  'an ArrayBuffer': new ArrayBuffer(2) };

for (const [name, data] of Object.entries(ODD_BODIES)) {
  test(`a service may answer ${name}`, async () => {
    const { client, wx } = await openPhone();
    answerWith(wx, 'request', { statusCode: 204, data }, { statusCode: 403, data }, { statusCode: 429, data });
    assert.deepEqual(await client.request({ url: '/orders' }), data);
    for (const status of [403, 429]) {
      const told = { status, code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 };
      await assert.rejects(client.request({ url: '/orders' }), told);
    }
  });
}

test('a service\'s fields of other types are not taken for a problem\'s', async () => {
  const data = { code: 40001, action: { name: 'relogin' }, detail: { why: 'x' }, requestId: 7, status: 'x' };
  for (const status of [400, 403, 422, 429, 500]) {
    const { client, wx, seen, token, device } = await openPhone();
    answerWith(wx, 'request', { statusCode: status, data, header: { 'Retry-After': '3' } });
    const told = { status, code: 'unknown', action: 'none', detail: '', requestId: '', retryAfter: 0 };
    await assert.rejects(client.request({ url: '/orders' }), told);
    await assert.rejects(client.bindPhone({ code: 'c' }), told);
    assert.deepEqual([seen.logins, client.waits], [1, []]);
    assert.equal(device.storage.get('wxlogin').token, token);
  }
});

test('an answer without a status is none', async () => {
  for (const statusCode of [undefined, null, 0, NaN, 'x', {}]) {
    const { client, wx } = await openPhone();
    answerWith(wx, 'request', { statusCode, data: { status: 200 }, errMsg: 'request:ok' });
    await assert.rejects(client.request(USER_INFO), { status: 0, code: 'network', detail: 'request:ok' });
    answerWith(wx, 'uploadFile', { statusCode, data: '' });
    await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://a' }), { status: 0, code: 'network', detail: '' });
  }
});

test('a status that is a text is read', async () => {
  const { client, wx } = await openPhone();
  answerWith(wx, 'uploadFile', { statusCode: '200', data: '{"status":200,"profileComplete":true}' });
  assert.equal((await client.saveProfile({ avatarFile: 'wxfile://a' })).profileComplete, true);
});

for (const loggedOut of ['yes', 1, null, {}, []]) {
  test(`a record whose loggedOut is ${JSON.stringify(loggedOut)} is not used`, async () => {
    const phone = takePhone();
    plant(phone, { loggedOut });
    await launch(phone).login({ silent: true });
    assert.deepEqual(phone.seen.requests, ['POST /onLogin 200']);
    assert.equal(kept(phone).loggedOut, false);
  });
}

test('a record has no fields of others', async () => {
  const phone = takePhone();
  plant(phone, { more: 'x', loggedOut: undefined });
  await launch(phone).request(USER_INFO);
  assert.deepEqual(Object.keys(kept(phone)).sort(), ['expiresAt', 'lifetime', 'loggedOut', 'server', 'token']);
  assert.ok(await works(tokenOf(phone)));
});
