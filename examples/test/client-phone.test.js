// bindPhone(): what the phone button gave, in the new way and in the old one.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith, holdAnswer, watch } = require('./calls.js');
const { simulator, takePhone, launch } = require('./phone.js');
const { kept, tokenOf, openPhone, end } = require('./session.js');

// numberOf asks WeChat, as nobody else may.
async function numberOf(user) {
  const { phoneNumber } = await (await fetch(`${simulator}/sim/account?user=${user}`)).json();
  return phoneNumber;
}

// answersTo lists all that wx.request is answered from now on, as text.
function answersTo(wx) {
  const answers = [];
  const { request } = wx;
  wx.request = (options) => request({
    ...options, success: (res) => { answers.push(JSON.stringify(res)); options.success(res); },
  });
  return answers;
}

for (const [way, old, fields] of [['the code', false, ['code']], ['the old way', true, ['encryptedData', 'iv']]]) {
  test(`${way} binds the number, and brings its ends back alone`, async () => {
    const phone = await openPhone();
    const { client, user, wx, device, seen } = phone;
    const sent = watch(wx, 'request');
    const answers = answersTo(wx);
    const bound = await client.bindPhone(await device.getPhoneNumber({ old }));
    const number = await numberOf(user);
    assert.deepEqual(Object.keys(bound).sort(), ['countryCode', 'phoneNumber']);
    assert.equal(bound.countryCode, '86');
    assert.ok(/^\d{3}\*{4}\d{4}$/.test(bound.phoneNumber));
    assert.ok(number.startsWith(bound.phoneNumber.slice(0, 3)) && number.endsWith(bound.phoneNumber.slice(-4)));
    assert.deepEqual(seen.requests, ['POST /bindPhone 200']);
    assert.deepEqual(Object.keys(sent[0].data).sort(), fields);

    await client.login();
    assert.equal(answers.length, 2);
    for (const text of [...answers, JSON.stringify(kept(phone))]) assert.ok(!text.includes(number));
  });
}

test('a button that gives both is taken at its code', async () => {
  const { client, wx, device } = await openPhone();
  const sent = watch(wx, 'request');
  const both = { ...await device.getPhoneNumber({ old: true }), ...await device.getPhoneNumber() };
  await client.bindPhone(both);
  assert.deepEqual(Object.keys(sent[0].data), ['code']);
});

test('on a fresh phone the login comes first', async () => {
  const phone = takePhone();
  const detail = await phone.device.getPhoneNumber();
  await launch(phone).bindPhone(detail);
  assert.deepEqual(phone.seen.requests, ['POST /onLogin 200', 'POST /bindPhone 200']);
});

const REFUSALS = {
  'a user who refuses': [{ errMsg: 'getPhoneNumber:fail user deny' }, 'refused'],
  'a button without a word': [{}, 'refused'],
  'a user who refuses, with a number': [{ errMsg: 'getPhoneNumber:fail user deny', errno: 103 }, 'refused'],
  'a used-up quota': [{ errMsg: 'getPhoneNumber:fail no quota', errno: 1400001 }, 'phone_quota'],
  'an empty code': [{ code: '', encryptedData: '', errMsg: 'getPhoneNumber:fail' }, 'refused'],
};

for (const [name, [detail, code]] of Object.entries(REFUSALS)) {
  test(`${name} is ${code}, and sends nothing`, async () => {
    const phone = takePhone();
    await assert.rejects(launch(phone).bindPhone(detail),
      { status: 0, code, action: 'none', detail: detail.errMsg || '', retryAfter: 0 });
    assert.deepEqual([phone.seen.logins, phone.seen.requests], [0, []]);
  });
}

test('a used code wants the button pressed again, and no login', async () => {
  const phone = await openPhone();
  const { client, device, seen } = phone;
  const detail = await device.getPhoneNumber();
  const token = tokenOf(phone);
  await client.bindPhone(detail);
  await assert.rejects(client.bindPhone(detail), { status: 400, code: 'invalid_code', action: 'none', retryAfter: 0 });
  assert.deepEqual(seen.requests, ['POST /bindPhone 200', 'POST /bindPhone 400']);
  assert.equal(seen.logins, 1);
  assert.ok(tokenOf(phone) === token);
  await client.bindPhone(await device.getPhoneNumber());
});

test('one code pressed twice at once binds once', async () => {
  const { client, device, seen } = await openPhone();
  const detail = await device.getPhoneNumber();
  const ends = await Promise.allSettled([client.bindPhone(detail), client.bindPhone(detail)]);
  assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(seen.requests.slice().sort(), ['POST /bindPhone 200', 'POST /bindPhone 400']);
});

test('a token that has ended is replaced, and the code is still good', async () => {
  const phone = await openPhone();
  await end(tokenOf(phone));
  await phone.client.bindPhone(await phone.device.getPhoneNumber());
  assert.deepEqual(phone.seen.requests, ['POST /bindPhone 401', 'POST /onLogin 200', 'POST /bindPhone 200']);
});

test('the old way under a key that the server never saw needs one login', async () => {
  const { client, device, seen } = await openPhone();
  await device.replaceSessionKey();
  await client.bindPhone(await device.getPhoneNumber({ old: true }));
  assert.deepEqual(seen.requests, ['POST /bindPhone 422', 'POST /onLogin 200', 'POST /bindPhone 200']);
  assert.deepEqual([seen.logins, seen.loginsMost], [2, 1]);
});

test('a busy server is waited for, with the same code', async () => {
  const { client, wx, device, seen } = await openPhone();
  const bound = { phoneNumber: '138****5678', countryCode: '86' };
  const calls = answerWith(wx, 'request',
    { statusCode: 503, data: { status: 503, action: 'retry' }, header: { 'Retry-After': '2' } },
    { statusCode: 200, data: { status: 200, ...bound }, header: {} });
  assert.deepEqual(await client.bindPhone(await device.getPhoneNumber()), bound);
  assert.ok(calls.length === 2 && calls[0].data.code === calls[1].data.code);
  assert.deepEqual([client.waits, seen.logins], [[2], 1]);
});

test('a number that arrives after a logout is no session', async () => {
  const phone = await openPhone();
  const held = holdAnswer(phone.wx, '/bindPhone');
  const bind = phone.client.bindPhone(await phone.device.getPhoneNumber());
  await held.came;
  await phone.client.logout();
  held.go();
  assert.equal((await bind).countryCode, '86');
  assert.ok(tokenOf(phone) === '');
});
