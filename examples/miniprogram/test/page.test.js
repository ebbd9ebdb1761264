const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const wxlogin = require('../utils/wxlogin.js');
const { server, newUser, usePhone } = require('./phone.js');

const folder = path.join(__dirname, '../pages/index');

let definition;
globalThis.App = () => {};
globalThis.Page = (given) => { definition = given; };
require('../app.js');
require(path.join(folder, 'index.js'));
wxlogin.setup({ server }); // in place of app.js's

// openPage plays the framework: a page with data, and a promise for the next change of it.
async function openPage() {
  const page = { ...definition, data: { ...definition.data } };
  page.setData = (changes) => {
    Object.assign(page.data, changes);
    if (page.changed) page.changed();
  };
  await page.onLoad();
  return page;
}

function tap(page, handler) {
  const changed = new Promise((resolve) => { page.changed = resolve; });
  page[handler]();
  return changed;
}

test('every handler in the WXML is in the page', () => {
  const wxml = readFileSync(path.join(folder, 'index.wxml'), 'utf8');
  const handlers = [...wxml.matchAll(/\sbind:?\w+="(\w+)"/g)].map((found) => found[1]);
  assert.ok(handlers.length > 0);
  for (const handler of handlers) assert.equal(typeof definition[handler], 'function', handler);
});

test('the page logs in when it opens, and shows the profile after a tap', async () => {
  const user = newUser();
  usePhone(user);
  const page = await openPage();
  assert.ok(page.data.ready && !page.data.profileComplete);
  await tap(page, 'onUseProfile');
  assert.equal(page.data.userInfo.nickName, user);
  assert.ok(page.data.profileComplete && !page.data.askForProfile);
});

test('an older WeChat without getUserProfile will do', async () => {
  const user = newUser();
  delete usePhone(user).getUserProfile;
  const page = await openPage();
  await tap(page, 'onUseProfile');
  assert.equal(page.data.userInfo.nickName, user);
});

test('a placeholder brings the form', async () => {
  usePhone(newUser(), { anonymous: true });
  const page = await openPage();
  await tap(page, 'onUseProfile');
  assert.ok(page.data.askForProfile);
  page.onChooseAvatar({ detail: { avatarUrl: 'wxfile://tmp_a.jpg' } });
  assert.equal(page.data.chosenAvatar, 'wxfile://tmp_a.jpg');
});

test('a failure is shown', async () => {
  usePhone().login = ({ fail }) => fail({ errMsg: 'login:fail no network' });
  const page = await openPage();
  assert.match(page.data.message, /login:fail no network/);
  assert.ok(!page.data.ready);
});
