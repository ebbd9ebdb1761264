// saveProfile(): the nickname that the user typed, and the picture that he chose.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith, holdAnswer, watch } = require('./calls.js');
const { startFront } = require('./front.js');
const { server, takePhone, launch } = require('./phone.js');
const { tokenOf, openPhone, end } = require('./session.js');

// An open phone has logged in.
async function picture({ device }) {
  return (await device.chooseAvatar()).avatarUrl;
}

test('a nickname alone needs no picture', async () => {
  const { client, wx, seen } = await openPhone();
  const sent = watch(wx, 'request');
  const { profileComplete, userInfo, ...more } = await client.saveProfile({ nickName: '小明 🐼' });
  assert.deepEqual([profileComplete, userInfo.nickName, userInfo.avatarUrl, more], [false, '小明 🐼', '', { phoneNumber: '' }]);
  assert.deepEqual(seen.requests, ['POST /updateUserInfo 200']);
  assert.deepEqual(sent[0].data, { nickName: '小明 🐼' });
});

test('a picture alone needs no nickname', async () => {
  const phone = await openPhone();
  const { profileComplete, userInfo, ...more } = await phone.client.saveProfile({ avatarFile: await picture(phone) });
  assert.deepEqual([profileComplete, userInfo.nickName, more], [false, '', { phoneNumber: '' }]);
  assert.equal((await fetch(userInfo.avatarUrl)).headers.get('content-type'), 'image/jpeg');
  assert.deepEqual(phone.seen.requests, ['POST /uploadAvatar 200']);
});

test('the upload is one file by the server\'s name, with the token', async () => {
  const phone = await openPhone();
  const uploads = watch(phone.wx, 'uploadFile');
  const avatarFile = await picture(phone);
  await phone.client.saveProfile({ avatarFile });
  const { url, filePath, name, header } = uploads[0];
  assert.deepEqual({ url, filePath, name }, { url: server + '/uploadAvatar', filePath: avatarFile, name: 'file' });
  assert.ok(header.Authorization === 'Bearer ' + tokenOf(phone));
});

test('both complete the profile, the nickname first', async () => {
  const phone = await openPhone();
  const saved = await phone.client.saveProfile({ nickName: '小明', avatarFile: await picture(phone) });
  assert.deepEqual([saved.profileComplete, saved.userInfo.nickName], [true, '小明']);
  assert.deepEqual(phone.seen.requests, ['POST /updateUserInfo 200', 'POST /uploadAvatar 200']);
  assert.deepEqual((await phone.client.login()).userInfo, saved.userInfo);
});

for (const given of [undefined, {}, { nickName: '' }, { nickName: '', avatarFile: '' }, { avatarFile: undefined }]) {
  test(`${JSON.stringify(given)} is nothing to save, and costs no login`, async () => {
    const phone = takePhone();
    await assert.rejects(launch(phone).saveProfile(given), { status: 0, code: 'nothing_to_save', action: 'none' });
    assert.deepEqual([phone.seen.logins, phone.seen.requests], [0, []]);
  });
}

for (const scheme of ['https', 'HTTPS']) {
  test(`a picture that has an ${scheme} address is not uploaded`, async (t) => {
    const front = await startFront(t, server);
    const profile = { profileComplete: true, phoneNumber: '', userInfo: { nickName: '小明' } };
    front.answers.set('POST /updateUserInfo', [200, profile]);
    const { client, wx, seen } = await openPhone({}, { server: front.url });
    const sent = watch(wx, 'request');
    const avatarFile = scheme + '://img.example.com/me.jpg';
    assert.deepEqual(await client.saveProfile({ nickName: '小明', avatarFile }), profile);
    assert.deepEqual(seen.requests, ['POST /updateUserInfo 200']);
    assert.deepEqual(sent[0].data, { nickName: '小明', avatarUrl: avatarFile });
    await client.saveProfile({ avatarFile });
    assert.deepEqual(sent[1].data, { avatarUrl: avatarFile });
  });
}

for (const file of ['http://tmp/a.jpg', 'wxfile://tmp_https://a.jpg']) {
  test(`${file} is a file of the phone`, async () => {
    const { client, wx, seen } = await openPhone();
    const uploads = answerWith(wx, 'uploadFile', { statusCode: 200, data: '{"status":200}' });
    await client.saveProfile({ avatarFile: file });
    assert.equal(uploads[0].filePath, file);
    assert.deepEqual(seen.requests, []);
  });
}

test('a nickname that is refused costs no upload', async () => {
  const phone = await openPhone();
  const uploads = watch(phone.wx, 'uploadFile');
  await assert.rejects(phone.client.saveProfile({ nickName: 'x'.repeat(1000), avatarFile: await picture(phone) }),
    { status: 400, code: 'invalid_request', action: 'none' });
  assert.equal(uploads.length, 0);
  assert.deepEqual(phone.seen.requests, ['POST /updateUserInfo 400']);
});

test('a picture that is refused leaves the nickname saved', async () => {
  const { client, device, seen } = await openPhone();
  device.fileOf = () => ({ bytes: new TextEncoder().encode('no picture'), type: 'image/jpeg' });
  await assert.rejects(client.saveProfile({ nickName: '小明', avatarFile: 'wxfile://tmp_1' }),
    ({ status, action }) => status >= 400 && status < 500 && action === 'none');
  assert.match(seen.requests[1], /^POST \/uploadAvatar 4/);
  assert.equal(seen.requests.length, 2);
  assert.equal((await client.login()).userInfo.nickName, '小明');
});

test('a picture that the phone has lost is told', async () => {
  const { client, seen } = await openPhone();
  await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://tmp_gone' }),
    { status: 0, code: 'file_gone', detail: 'uploadFile:fail file not found' });
  assert.deepEqual(seen.requests, []);
});

test('two saves at once both arrive', async () => {
  const phone = takePhone();
  const client = launch(phone);
  const avatarFile = await picture(phone);
  const both = await Promise.all([
    client.saveProfile({ nickName: '小明', avatarFile }), client.saveProfile({ nickName: '小明', avatarFile }),
  ]);
  assert.ok(both.every(({ profileComplete, userInfo }) => profileComplete && userInfo.nickName === '小明'));
  assert.deepEqual(phone.seen.requests.slice().sort(), [
    'POST /onLogin 200', 'POST /updateUserInfo 200', 'POST /updateUserInfo 200', 'POST /uploadAvatar 200',
    'POST /uploadAvatar 200',
  ]);
});

test('a token that ends between nickname and picture is replaced', async () => {
  const phone = await openPhone();
  const held = holdAnswer(phone.wx, '/updateUserInfo');
  const save = phone.client.saveProfile({ nickName: '小明', avatarFile: await picture(phone) });
  await held.came;
  await end(tokenOf(phone));
  held.go();
  assert.ok((await save).profileComplete);
  assert.deepEqual(phone.seen.requests, [
    'POST /updateUserInfo 200', 'POST /uploadAvatar 401', 'POST /onLogin 200', 'POST /uploadAvatar 200',
  ]);
});

// What wx.uploadFile may answer, as a string, with header or without.
const UPLOADS = {
  'a hotel\'s page': [{ statusCode: 200, data: '<html></html>', header: {} }, { status: 200, code: 'unknown' }],
  'a proxy\'s page without headers': [{ statusCode: 502, data: '<html></html>' }, { status: 502, code: 'unknown' }],
  nothing: [{ statusCode: 200, data: '' }, { status: 200, code: 'unknown' }],
  'a Problem of the server': [
    { statusCode: 413, data: '{"status":413,"code":"request_too_large","action":"none"}' },
    { status: 413, code: 'request_too_large' },
  ],
};

for (const [name, [answer, problem]] of Object.entries(UPLOADS)) {
  test(`an upload that is answered with ${name} is a failure`, async () => {
    const { client, wx, seen } = await openPhone();
    const uploads = answerWith(wx, 'uploadFile', answer);
    await assert.rejects(client.saveProfile({ avatarFile: 'wxfile://tmp_1' }), { ...problem, action: 'none' });
    assert.deepEqual([uploads.length, seen.logins, client.waits.length], [1, 1, 0]);
  });
}

test('an upload that meets a busy server waits, with headers or without', async () => {
  for (const [header, seconds] of [[undefined, 1], [{ 'Retry-After': '3' }, 3]]) {
    const { client, wx } = await openPhone();
    const done = { userInfo: { nickName: '小明' }, profileComplete: true, phoneNumber: '138****1234' };
    answerWith(wx, 'uploadFile', { statusCode: 503, data: '{"status":503,"action":"retry"}', header },
      { statusCode: 200, data: JSON.stringify({ status: 200, ...done }) });
    assert.deepEqual(await client.saveProfile({ avatarFile: 'wxfile://tmp_1' }), done);
    assert.deepEqual(client.waits, [seconds]);
  }
});
