// uploadFile() and downloadFile(): the rules of request() for addresses, for refused tokens and for busy servers.

const assert = require('node:assert/strict');
const { server, answerWith } = require('./phone.js');
const {
  SHOP, UNKNOWN_TOKEN, LOGIN, GET_USER, UPLOAD, NOT_OURS, upload, download, endSession, goAway, answering, newPhone, openPhone,
  planted, check, checks, kept,
} = require('./session.js');

const uploadAvatar = async ({ client, device }) => {
  const { avatarUrl: filePath } = await device.chooseAvatar();
  return client.uploadFile({ url: '/uploadAvatar', filePath, name: 'file' });
};

const BUSY = [503, { code: 'storage_unavailable', action: 'retry' }, { 'Retry-After': '2' }];
const withShop = (take) => async () => {
  const phone = await take();
  phone.client.setup({ services: [SHOP] });
  return phone;
};

// What holds for both, with a request that the server answers with success.
for (const [name, begin, success] of [['uploadFile', uploadAvatar, UPLOAD], ['downloadFile', download, GET_USER]]) {
  const [method, path] = success.split(' ');
  const refused = `${method} ${path} 401`;
  const send = (url) => ({ client }) => client[name]({ url, filePath: 'http://tmp/a', name: 'file' });

  checks(withShop(openPhone), {
    [`${name} goes with the token, and what the caller wants sent`]: [async ({ client, wx, token }) => {
      const calls = answerWith(wx, name, { statusCode: 200, data: '' });
      const what = {
        url: path, filePath: 'http://tmp/a', name: 'file', formData: { a: 'b' }, header: { 'X-Own': 'x', Authorization: 'mine' },
        timeout: 300000, enableHttp2: true,
      };
      const before = structuredClone(what);
      await client[name](what);
      assert.deepEqual(what, before);
      const { success: done, fail, header: { Authorization, ...header }, ...rest } = calls[0];
      assert.ok(Authorization === 'Bearer ' + token);
      assert.deepEqual({ ...rest, header }, { ...before, url: server + path, header: { 'X-Own': 'x' } });
    }],
    [`${name} of a service gets the token, at its addresses only`]: [async (phone) => {
      const calls = answerWith(phone.wx, name, { statusCode: 200, data: '' });
      for (const url of [SHOP + '/file', server + path]) await send(url)(phone);
      for (const { header } of calls) assert.ok(header.Authorization === 'Bearer ' + phone.token);
      for (const url of ['https://evil.example/', SHOP + '.evil.example/', SHOP + '/../x', 'http://tmp/a', '', undefined]) {
        await assert.rejects(send(url)(phone), { status: 0, code: 'foreign_url' });
      }
      assert.equal(calls.length, 2);
    }],
    [`${name} with a token that has ended is repeated after one login`]: [[endSession, begin],
      { requests: [refused, LOGIN, success], logins: 1, token: 'new' }],
    [`${name} that stays refused is repeated once`]: [
      [answering(`${method} ${path}`, [401, { code: 'invalid_token', action: 'relogin' }]), begin],
      { fails: { name: 'WxloginProblem', status: 401, action: 'relogin' }, requests: [refused, LOGIN, refused], logins: 1 }],
    [`${name} without a network is a failure, and costs no token`]: [[goAway, begin],
      { fails: { status: 0, code: 'network' }, logins: 0, token: 'same' }],
  });

  check(`${name} without a token logs in first`, newPhone, begin, { requests: [LOGIN, success], logins: 1 });
}

// --- Uploads: the body is a text, which may be JSON.

const FILE = { url: '/files', filePath: 'wxfile://a', name: 'file' };

checks(openPhone, {
  'an upload gives the parsed body': [async (phone) => {
    const { status, avatarUrl, userInfo } = await uploadAvatar(phone);
    assert.deepEqual([status, avatarUrl], [200, userInfo.avatarUrl]);
  }, { requests: [UPLOAD] }],
  'a busy server is sent the file once more after its time': [[answering('POST /uploadAvatar', BUSY, null), uploadAvatar],
    { requests: ['POST /uploadAvatar 503', UPLOAD], waits: [2] }],
  'a refused upload is a Problem with what the server said': [upload,
    { fails: { status: 422, code: 'invalid_picture', requestId: /./, detail: /./ }, token: 'same' }],
  'a file that the phone has lost is a Problem': [({ client }) => client.uploadFile(FILE),
    { fails: { status: 0, code: 'file_gone' } }],
});

for (const [text, body] of [['', ''], ['created', 'created'], ['{"id":7}', { id: 7 }], ['[1]', [1]], [undefined, undefined]]) {
  check(`a service may answer ${JSON.stringify(text)} to an upload`, planted(), async ({ client, wx }) => {
    answerWith(wx, 'uploadFile', { statusCode: 201, data: text });
    assert.deepEqual(await client.uploadFile(FILE), body);
  });
}

// --- Downloads: the body is a file, whatever the status, and there may be no header.

checks(openPhone, {
  'a download gives the file': [async (phone) => {
    const { filePath, ...rest } = await download(phone);
    const { bytes } = phone.device.fileOf(filePath);
    assert.deepEqual([JSON.parse(new TextDecoder().decode(bytes)).status, rest], [200, {}]);
  }, { requests: [GET_USER] }],
  'a download goes to the file that the caller names': [async ({ client, device }) => {
    const filePath = 'wxfile://usr/me.json';
    assert.deepEqual(await client.downloadFile({ url: '/userInfo', filePath }), { filePath });
    assert.ok(device.fileOf(filePath));
  }],
  'a file that is not there is a Problem with its status': [({ client }) => client.downloadFile({ url: '/nowhere' }),
    { fails: { ...NOT_OURS, status: 404 }, requests: ['GET /nowhere 404'], token: 'same' }],
  'a busy server whose header the phone does not give is reported': [[answering('GET /userInfo', BUSY), download],
    { fails: { ...NOT_OURS, status: 503 }, requests: ['GET /userInfo 503'], token: 'same' }],
});

const SAVED = { statusCode: 200, tempFilePath: 'http://tmp/b' };

check('a busy server whose header the phone gives is asked for the file once more', planted(), async ({ client, wx }) => {
  answerWith(wx, 'downloadFile', { statusCode: 503, header: { 'Retry-After': '2' } }, SAVED);
  assert.deepEqual(await client.downloadFile(FILE), { filePath: 'http://tmp/b' });
}, { waits: [2], token: 'same' });

for (const [header, calls] of [
  [undefined, 2], [null, 2], [{}, 2], [{ 'WWW-Authenticate': 'Bearer' }, 2], [{ 'www-authenticate': 'Basic realm="x"' }, 1],
  [{ Date: '' }, 1],
]) {
  const about = calls === 2 ? 'about the token' : 'the caller\'s';
  check(`a 401 to a download with ${JSON.stringify(header)} for headers is ${about}`, planted(), [
    answering('POST /onLogin', [200, { token: 'B'.repeat(43), expiresIn: 3600 }]), async (phone) => {
      const sent = answerWith(phone.wx, 'downloadFile', { statusCode: 401, header });
      await assert.rejects(download(phone), { ...NOT_OURS, status: 401, action: calls === 2 ? 'relogin' : 'none' });
      assert.deepEqual([sent.length, kept(phone).token !== UNKNOWN_TOKEN], [calls, calls === 2]);
    },
  ], { logins: calls - 1 });
}
