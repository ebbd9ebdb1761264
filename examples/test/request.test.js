// request(): what it sends, where it sends the token and where never, and what it makes of the answer.

const assert = require('node:assert/strict');
const { inspect } = require('node:util');
const { server, watch, answerWith } = require('./phone.js');
const {
  SHOP, LOGIN, GET_USER, USER_INFO, NOT_OURS, failing, newPhone, openPhone, planted, check, checks, end,
} = require('./session.js');

const FOREIGN = { status: 0, code: 'foreign_url', action: 'none' };

/** watched is a phone with these services, which answer everything, or with the server; sent lists the options of wx.request. */
const watched = (...services) => async () => {
  const phone = await (services.length > 0 ? planted()() : openPhone());
  phone.client.setup({ services });
  if (services.length > 0) phone.net.answer('*', [200, { orders: 3 }]);
  return { ...phone, sent: watch(phone.wx, 'request') };
};

checks(watched(), {
  'a path is the server\'s': [async ({ client, sent, token, user }) => {
    await client.saveProfile({ nickName: user });
    sent.length = 0;
    const body = await client.request(USER_INFO);
    assert.deepEqual([body.status, body.userInfo.nickName], [200, user]);
    assert.deepEqual(Object.keys(sent[0]).sort(), ['fail', 'header', 'success', 'timeout', 'url']);
    assert.equal(sent[0].url, server + '/userInfo');
    assert.deepEqual(Object.keys(sent[0].header), ['Authorization']);
    assert.ok(sent[0].header.Authorization === 'Bearer ' + token);
  }],
  'the server may be named in full': [({ client }) => client.request({ url: server + '/userInfo' }), { requests: [GET_USER] }],

  'what the caller wants sent is sent, on the repeat too': [async ({ client, sent, token }) => {
    await end(token);
    const what = {
      url: '/updateUserInfo', method: 'POST', data: { nickName: '小明 & 小红+' }, timeout: 5000,
      header: { 'content-type': 'application/x-www-form-urlencoded', 'X-Request-Id': 'from-the-test' },
    };
    const before = structuredClone(what);
    assert.equal((await client.request(what)).userInfo.nickName, '小明 & 小红+');
    assert.deepEqual(what, before);
    for (const { success, fail, header: { Authorization, ...header }, ...rest } of [sent[0], sent[2]]) {
      assert.deepEqual({ ...rest, header }, { ...before, url: server + '/updateUserInfo' });
      assert.ok(Authorization.startsWith('Bearer '));
    }
  }, { requests: ['POST /updateUserInfo 401', LOGIN, 'POST /updateUserInfo 200'] }],
  'the token replaces an Authorization of the caller\'s': [async ({ client, sent, token }) => {
    await client.request({ ...USER_INFO, header: { Authorization: 'Basic bWU6' } });
    assert.ok(sent[0].header.Authorization === 'Bearer ' + token);
  }],
  'the server\'s name as a prefix, and its other ports, never see the token': [async ({ client, sent }) => {
    const prefixed = ['.evil.example/', '0/', '@evil.example/'].map((rest) => server + rest);
    for (const url of [...prefixed, server.replace(/\d+$/, '1/')]) await assert.rejects(client.request({ url }), FOREIGN);
    assert.equal(sent.length, 0);
  }],
  'a path that looks like an address stays with the server': [async ({ client, sent }) => {
    for (const url of ['//evil.example/', '/@evil.example/', '/https://evil.example']) {
      await assert.rejects(client.request({ url }), { status: 404, code: 'not_found' });
    }
    for (const { url } of sent) assert.equal(new URL(url).origin, server);
  }],
});

for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
  check(`a ${method} arrives as such`, watched(SHOP), ({ client }) => client.request({ url: SHOP + '/orders', method }),
    { gives: { status: 200, orders: 3 }, requests: [`${method} /orders 200`] });
}

check('services get the token, at any of their addresses', watched(SHOP + '/', 'https://api.example.com/v1'),
  async ({ client, sent, token }) => {
    const urls = [SHOP, SHOP + '/', SHOP + '/orders', SHOP + '?a=b', SHOP + '#top',
      ...['', '/', '/orders?a=b', '?a=b'].map((rest) => 'https://api.example.com/v1' + rest)];
    for (const url of urls) await client.request({ url });
    assert.deepEqual(sent.map(({ url }) => url), urls);
    for (const { header } of sent) assert.ok(header.Authorization === 'Bearer ' + token);
  });

const BASE = 'https://api.example.com/v1';

for (const url of [
  // Other hosts, that look like the service's in some way.
  'https://www.example.com/v1', 'https://api.example.com.evil.example/v1', 'https://evil-api.example.com/v1',
  'https://evil.example/https://api.example.com/v1', 'https://evil.example/?https://api.example.com/v1',
  'https://api.example.com@evil.example/v1', 'https://api.example.com/v1@evil.example', 'https://api.example.com:v1@evil.example/v1',
  'https://api.example.com\\@evil.example/v1',
  // Its own, by another user, port, scheme or spelling.
  'https://me@api.example.com/v1', 'https://api.example.com:8443/v1', 'https://api.example.com:443/v1', 'http://api.example.com/v1',
  'HTTPS://API.EXAMPLE.COM/v1', ' https://api.example.com/v1', 'api.example.com/v1', '',
  // Outside of its folder.
  'https://api.example.com/', 'https://api.example.com/v2', 'https://api.example.com/v10', 'https://api.example.com/v1\\orders',
  ...['/../other', '/a/../../other', '/%2e%2e/other', '/.%2E/other', '/..\\other', '\\..\\other', '/..'].map((way) => BASE + way),
]) {
  check(`"${url}" never sees the token`, watched(BASE), [
    failing(({ client }) => client.request({ url }), FOREIGN), ({ sent }) => assert.equal(sent.length, 0),
  ], { requests: [] });
}

check('a foreign address costs no login', newPhone, ({ client }) => client.request({ url: 'https://evil.example/' }),
  { fails: FOREIGN, logins: 0 });

check('dots within a name are no way out', watched(BASE), ({ client }) => (
  client.request({ url: BASE + '/a..b/.well-known/c.json?d=..' })
), { gives: { status: 200, orders: 3 } });

check('a service without a folder is its host and port alone', watched(SHOP), async ({ client, sent }) => {
  for (const rest of [':8443/', ':443/', ':me@evil.example/', '@evil.example/', '.evil.example/', '.', '\\@evil']) {
    await assert.rejects(client.request({ url: SHOP + rest }), FOREIGN, rest);
  }
  assert.equal(sent.length, 0);
});

check('services that setup no longer names are foreign', watched(SHOP), async ({ client }) => {
  await client.request({ url: SHOP + '/orders' });
  client.setup({ services: [] });
  await assert.rejects(client.request({ url: SHOP + '/orders' }), FOREIGN);
  client.setup({ services: [''] }); // names nothing
  for (const url of ['https://evil.example/', '', '?a=b']) await assert.rejects(client.request({ url }), FOREIGN);
}, { requests: ['GET /orders 200'] });

for (const data of ['', 'gone', null, undefined, [1, 2, 3], 7, new ArrayBuffer(2), { error: 'no' }]) {
  check(`a service may answer ${inspect(data)}: only its status makes it a failure`, planted(), async ({ client, wx }) => {
    for (const status of [200, 201, 204, 299]) {
      answerWith(wx, 'request', { statusCode: status, data, header: {} });
      assert.deepEqual(await client.request({ url: '/orders' }), data);
    }
    for (const status of [199, 300, 304, 400, 403, 404, 409, 422, 429, 500, 502]) {
      const calls = answerWith(wx, 'request', { statusCode: status, data, header: {} });
      await assert.rejects(client.request({ url: '/orders' }), { ...NOT_OURS, status });
      assert.equal(calls.length, 1);
    }
  }, { logins: 0, token: 'same' });
}
