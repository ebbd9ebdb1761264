// The interceptors of docs/clients.md against the demo. What is simulated of uni-app and luch-request is how they run interceptors.

const assert = require('node:assert/strict');
const test = require('node:test');
const { API, runRecipe, newPhone, openPhone } = require('./recipe.js');
const { end, tokenOf } = require('./session.js');

/** createUni runs interceptors of uni.request as uni-app for Vue 3 does: what invoke resolves with is the request. */
function createUni(wx) {
  const hooks = [];
  const request = (args) => {
    if (!args.success && !args.fail) return new Promise((success, fail) => { request({ ...args, success, fail }); });
    const invoked = hooks[0] ? hooks[0].invoke({ ...args }) : Promise.resolve(args);
    return invoked.then((options) => wx.request(options));
  };
  return { request, addInterceptor: (name, hook) => { assert.equal(name, 'request'); hooks.push(hook); } };
}

/** createRequest is luch-request 3: a failed status rejects with the response, which has the request's config. */
function createRequest(wx) {
  return class {
    constructor(config) {
      this.config = config;
      this.interceptors = { request: { use: (...hooks) => { this.before = hooks; } }, response: { use: (...hooks) => { this.after = hooks; } } };
    }

    request(given) {
      const config = { ...this.config, ...given, header: { ...given.header }, custom: { ...given.custom } };
      return Promise.resolve(config).then(...this.before).then((ready) => this.send(ready)).then(...this.after);
    }

    send(config) {
      const url = /^https:/.test(config.url) ? config.url : config.baseURL + config.url;
      return new Promise((resolve, reject) => {
        const complete = (res) => (res.statusCode === 200 ? resolve : reject)({ ...res, config });
        wx.request({ url, header: config.header, complete });
      });
    }
  };
}

const INTERCEPTORS = {
  'uni.request': (phone) => {
    const uni = createUni(phone.wx);
    runRecipe('uni-request.js', phone, { uni });
    return (url) => uni.request({ url });
  },
  'luch-request': (phone) => {
    const { http } = runRecipe('luch-request.js', phone, { Request: createRequest(phone.wx) });
    return (url) => http.request({ url: url.replace(API, '') }).catch((failure) => {
      if (!failure.config) throw failure;
      return failure;
    });
  },
};

for (const [name, start] of Object.entries(INTERCEPTORS)) {
  test(`${name} has the token, for the service alone`, async () => {
    const phone = newPhone();
    const request = start(phone);
    const answers = await Promise.all([request(API + '/a'), request(API + '/b'), request('https://other.example.com/c')]);
    assert.deepEqual(answers.map(({ statusCode }) => statusCode), [200, 200, 401]);
    assert.deepEqual(phone.service.calls.map(([, url, token]) => [url, token]).sort(),
      [[API + '/a', tokenOf(phone)], [API + '/b', tokenOf(phone)], ['https://other.example.com/c', '']]);
    assert.equal(phone.seen.logins, 1);
  });

  test(`${name} replaces a token that was refused, once for all requests`, async () => {
    const phone = await openPhone();
    const request = start(phone);
    await end(phone.token);
    const answers = await Promise.all([request(API + '/a'), request(API + '/b')]);
    assert.deepEqual(answers.map(({ statusCode }) => statusCode), [200, 200]);
    assert.deepEqual([phone.service.calls.length, phone.seen.logins], [4, 1]);
  });

  test(`${name} asks twice at most`, async () => {
    const phone = await openPhone();
    phone.service.refuses = true;
    const { statusCode } = await start(phone)(API + '/a');
    assert.deepEqual([statusCode, phone.service.calls.length, phone.seen.logins], [401, 2, 1]);
  });
}

test('after a logout uni.request gets the 401 of the service, and luch-request the problem', async () => {
  const phone = await openPhone();
  await phone.client.logout();
  const { statusCode } = await INTERCEPTORS['uni.request'](phone)(API + '/a');
  assert.deepEqual([statusCode, phone.service.calls], [401, [['request', API + '/a', '']]]);
  await assert.rejects(INTERCEPTORS['luch-request'](phone)(API + '/a'), { code: 'logged_out' });
  assert.equal(phone.service.calls.length, 1);
});
