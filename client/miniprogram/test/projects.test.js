// The built projects, each on a phone of its own: login, a request and a logout, as the demo's server sees them. TEST_PROJECTS is the
// folder that projects/build.js has filled.

const assert = require('node:assert/strict');
const { readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { createWx } = require('../../../examples/phone/wx.js');
const { launch } = require('./projects/runtime.js');

const { WXLOGIN_SERVER: server, WXLOGIN_SIMULATOR: simulator, TEST_PROJECTS: folder } = process.env;
assert.ok(server && simulator && folder, 'run go test -run MiniProgram_projects ./examples');
const SERVER = 'https://login.example.com'; // as the projects have it
const miniPrograms = path.join(folder, 'mini-programs');
const names = readdirSync(miniPrograms);
assert.ok(names.length > 0, 'no project was built');

for (const name of names) {
  test(name, { timeout: 60000 }, async () => {
    const tokens = new Set();
    const { wx, device } = createWx({ simulator, user: `${name}-${Date.now()}`, fetch: (url, init) => {
      const [, token] = /^Bearer (.+)$/.exec(new Headers(init.headers).get('authorization')) || [];
      if (token) tokens.add(token);
      return fetch(String(url).replace(SERVER, server), init);
    } });
    const { isNewUser, user } = await resultOf(path.join(miniPrograms, name), wx);

    assert.deepEqual(device.seen.requests, ['POST /onLogin 200', 'GET /userInfo 200', 'POST /logout 200']);
    assert.ok(isNewUser);
    assert.equal(user.userInfo.nickName, '');
    const [token, ...more] = tokens;
    assert.deepEqual(more, []);
    const { status } = await fetch(server + '/userInfo', { headers: { Authorization: 'Bearer ' + token } });
    assert.equal(status, 401);
  });
}

/** resultOf returns what a project stores at its end. */
function resultOf(project, wx) {
  return new Promise((resolve) => {
    launch(project, {
      ...wx,
      setStorageSync(key, value) {
        wx.setStorageSync(key, value);
        if (key === 'result') resolve(wx.getStorageSync(key));
      },
    });
  });
}
