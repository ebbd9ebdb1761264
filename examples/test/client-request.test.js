// request(): what it sends, where it sends the token and where never, and what it makes of the answer.

const assert = require('node:assert/strict');
const test = require('node:test');
const { answerWith, watch } = require('./calls.js');
const { server, takePhone, launch, answering } = require('./phone.js');
const { tokenOf, end } = require('./session.js');

// An open phone has logged in, and lists what the client gives to wx.request from then on.
async function openPhone(changes = {}) {
  const phone = takePhone();
  const client = launch(phone, changes);
  await client.login();
  return { ...phone, client, sent: watch(phone.wx, 'request'), token: tokenOf(phone) };
}

test('a path is the server\'s', async () => {
  const { client, sent, token, user } = await openPhone();
  await client.saveProfile({ nickName: user });
  sent.length = 0;
  const body = await client.request({ url: '/userInfo' });
  assert.deepEqual([body.status, body.userInfo.nickName], [200, user]);
  assert.deepEqual(Object.keys(sent[0]).sort(), ['fail', 'header', 'success', 'timeout', 'url']);
  assert.equal(sent[0].url, server + '/userInfo');
  assert.deepEqual(Object.keys(sent[0].header), ['Authorization']);
  assert.ok(sent[0].header.Authorization === 'Bearer ' + token);
});

test('the server may be named in full', async () => {
  const { client, seen } = await openPhone();
  await client.request({ url: server + '/userInfo' });
  assert.deepEqual(seen.requests.slice(1), ['GET /userInfo 200']);
});

test('what the caller wants sent is sent, on the repeat too', async () => {
  const { client, sent, seen, token } = await openPhone();
  await end(token);
  const what = {
    url: '/updateUserInfo', method: 'POST', data: { nickName: '小明 & 小红+' }, timeout: 5000,
    header: { 'content-type': 'application/x-www-form-urlencoded', 'X-Request-Id': 'from-the-test' },
  };
  const before = structuredClone(what);
  const { userInfo } = await client.request(what);
  assert.equal(userInfo.nickName, '小明 & 小红+');
  assert.deepEqual(what, before);
  assert.deepEqual(seen.requests.slice(1),
    ['POST /updateUserInfo 401', 'POST /onLogin 200', 'POST /updateUserInfo 200']);
  for (const { url, method, data, timeout, header } of [sent[0], sent[2]]) {
    assert.deepEqual({ url, method, data, timeout },
      { url: server + '/updateUserInfo', method: 'POST', data: before.data, timeout: 5000 });
    const { Authorization, ...others } = header;
    assert.ok(Authorization.startsWith('Bearer '));
    assert.deepEqual(others, before.header);
  }
});

test('the token replaces an Authorization of the caller\'s', async () => {
  const { client, sent, token } = await openPhone();
  await client.request({ url: '/userInfo', header: { Authorization: 'Basic bWU6' } });
  assert.ok(sent[0].header.Authorization === 'Bearer ' + token);
});

for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
  test(`a ${method} arrives as such`, async (t) => {
    const service = await answering(t, [200, { orders: 3 }]);
    const { client, seen } = await openPhone({ services: [service] });
    assert.deepEqual(await client.request({ url: service + '/orders', method }), { status: 200, orders: 3 });
    assert.deepEqual(seen.requests.slice(1), [`${method} /orders 200`]);
  });
}

test('services get the token, each by any of their addresses', async (t) => {
  const first = await answering(t, [200, {}]);
  const second = await answering(t, [200, {}]);
  const { client, sent, token } = await openPhone({ services: [first + '/', second + '/v1'] });
  const urls = [first, first + '/', first + '/orders', first + '?a=b', first + '#top',
    second + '/v1', second + '/v1/', second + '/v1/orders?a=b', second + '/v1?a=b'];
  for (const url of urls) await client.request({ url });
  assert.deepEqual(sent.map(({ url }) => url), urls);
  for (const { header } of sent) assert.ok(header.Authorization === 'Bearer ' + token);
});

const BASE = 'https://api.example.com/v1';
const FOREIGN = {
  'another host': 'https://www.example.com/v1',
  'a host that begins as the service\'s': 'https://api.example.com.evil.example/v1',
  'a host that ends as the service\'s': 'https://evil-api.example.com/v1',
  'a host with the service in its path': 'https://evil.example/https://api.example.com/v1',
  'a host with the service in its query': 'https://evil.example/?https://api.example.com/v1',
  'the service as a user': 'https://api.example.com@evil.example/v1',
  'the service and its folder as a user': 'https://api.example.com/v1@evil.example',
  'the service as a password': 'https://api.example.com:v1@evil.example/v1',
  'a user at the service': 'https://me@api.example.com/v1',
  'another port': 'https://api.example.com:8443/v1',
  'the usual port in digits': 'https://api.example.com:443/v1',
  'another scheme': 'http://api.example.com/v1',
  'upper case': 'HTTPS://API.EXAMPLE.COM/v1',
  'a backslash': 'https://api.example.com\\@evil.example/v1',
  'a backslash after the folder': 'https://api.example.com/v1\\orders',
  'another folder': 'https://api.example.com/v2',
  'a folder that begins as the service\'s': 'https://api.example.com/v10',
  'the host alone': 'https://api.example.com/',
  'a space before': ' https://api.example.com/v1',
  'no scheme': 'api.example.com/v1',
  'nothing': '',
};

for (const [name, url] of Object.entries(FOREIGN)) {
  test(`${name} never sees the token`, async () => {
    const { client, sent, seen } = await openPhone({ services: [BASE] });
    await assert.rejects(client.request({ url }), { status: 0, code: 'foreign_url', action: 'none' });
    assert.deepEqual([sent.length, seen.requests.length], [0, 1]);
  });
}

test('the server\'s name as a prefix, and its other ports, never see the token', async () => {
  const { client, sent } = await openPhone();
  const prefixed = ['.evil.example/', '0/', '@evil.example/'].map((rest) => server + rest);
  for (const url of [...prefixed, server.replace(/\d+$/, '1/')]) {
    await assert.rejects(client.request({ url }), { code: 'foreign_url' });
  }
  assert.equal(sent.length, 0);
});

for (const way of ['/../other', '/a/../../other', '/%2e%2e/other', '/.%2E/other', '/..\\other', '\\..\\other', '/..']) {
  test(`a service's folder cannot be left by ${way}`, async (t) => {
    const service = await answering(t, [200, {}]);
    const phone = takePhone();
    const client = launch(phone, { services: [service + '/v1'] });
    await assert.rejects(client.request({ url: service + '/v1' + way }), { code: 'foreign_url' });
    assert.deepEqual(phone.seen.requests, []);
  });
}

test('dots within a name are no way out', async (t) => {
  const service = await answering(t, [200, {}]);
  const client = launch(takePhone(), { services: [service + '/v1'] });
  assert.equal((await client.request({ url: service + '/v1/a..b/.well-known/c.json?d=..' })).status, 200);
});

test('a service without a folder is its host and port alone', async () => {
  const service = 'https://shop.example.com';
  const { client, sent } = await openPhone({ services: [service] });
  for (const rest of [':8443/', ':443/', ':me@evil.example/', '@evil.example/', '.evil.example/', '.', '\\@evil']) {
    await assert.rejects(client.request({ url: service + rest }), { code: 'foreign_url' }, rest);
  }
  assert.equal(sent.length, 0);
});

test('a path that looks like an address stays with the server', async () => {
  const { client, sent } = await openPhone();
  for (const url of ['//evil.example/', '/@evil.example/', '/https://evil.example']) {
    await assert.rejects(client.request({ url }), { status: 404, code: 'not_found' });
  }
  for (const { url } of sent) assert.equal(new URL(url).origin, server);
});

test('a foreign address costs no login', async () => {
  const phone = takePhone();
  await assert.rejects(launch(phone).request({ url: 'https://evil.example/' }), { code: 'foreign_url' });
  assert.equal(phone.seen.logins, 0);
});

test('services that setup no longer names are foreign', async (t) => {
  const service = await answering(t, [200, {}]);
  const { client } = await openPhone({ services: [service] });
  await client.request({ url: service + '/orders' });
  client.setup({ services: [] });
  await assert.rejects(client.request({ url: service + '/orders' }), { code: 'foreign_url' });
  client.setup({ services: [''] }); // names nothing
  for (const url of ['https://evil.example/', '', '?a=b']) {
    await assert.rejects(client.request({ url }), { code: 'foreign_url' });
  }
});

for (const status of [200, 201, 204, 299]) {
  test(`${status} is a success of a service`, async () => {
    const { client, wx } = await openPhone();
    answerWith(wx, 'request', { statusCode: status, data: 'as it is', header: {} });
    assert.equal(await client.request({ url: '/orders' }), 'as it is');
  });
}

for (const status of [199, 300, 304, 400, 403, 404, 409, 422, 500, 502]) {
  test(`${status} is a failure of a service, and ends no session`, async () => {
    const phone = await openPhone();
    const { client, wx, token } = phone;
    const calls = answerWith(wx, 'request', { statusCode: status, data: { error: 'no' }, header: {} });
    const told = { status, code: 'unknown', action: 'none', retryAfter: 0 };
    await assert.rejects(client.request({ url: '/orders' }), told);
    assert.equal(calls.length, 1);
    assert.ok(tokenOf(phone) === token);
  });
}

test('a body of a service\'s own needs no status', async (t) => {
  const service = await answering(t, [200, '[1,2,3]']);
  const { client } = await openPhone({ services: [service] });
  assert.deepEqual(await client.request({ url: service + '/orders' }), [1, 2, 3]);
});
