// The whole flow by clicks, as phone, log, MySQL and Redis show it; coming back, other people, and a demo that goes away.

const assert = require('node:assert/strict');
const net = require('node:net');
const test = require('node:test');
const {
  NAME, address, answer, bindPhone, button, choose, column, conversation, fillIn, greets, holdsToken, logged, logins, open, personOf,
  phone, picture, play, reads, save, tap, visit,
} = require('../harness.js');
const { assertAccess, assertLanguage } = require('../states.js');

for (const [locale, name] of [['en-US', 'page'], ['zh-CN', 'page.zh-CN']]) { // README has these pictures
  test(`three steps lead from a closed mini-program to a fault, and the language is remembered (${locale})`, async (t) => {
    const { page, context } = await visit(t, { opened: false, locale, viewport: { width: 1280, height: 840 } });
    const [language, other] = locale === 'zh-CN' ? ['zh', 'en'] : ['en', 'zh'];
    const next = page.locator('#next');
    assert.equal(await page.title(), locale === 'zh-CN' ? 'wxlogin：登录全过程' : 'wxlogin: a login, live');
    assert.equal(await page.locator('.primary:visible').count(), 1, 'there is one primary action');
    assert.deepEqual(await logged(page), []);
    await open(page);
    await page.locator('#redis').getByText('wxlogin:session:').waitFor();
    assert.deepEqual((await logged(page)).map(({ label, status }) => `${label} ${status}`), [
      'wx.login() 200', 'POST /onLogin 200', 'GET /sns/jscode2session 200']);
    await column(page, 'profile_complete', 'no');
    assert.ok(await holdsToken(page));
    for (const done of [1, 2]) {
      await page.waitForFunction((n) => document.querySelectorAll('.steps .done').length === n, done);
      await next.click();
    }
    await page.locator('#story .end:not(.bad)').waitFor();
    await column(page, 'profile_complete', 'yes');
    assert.equal(await page.locator('.steps .done').count(), 3);
    assert.ok(await next.isHidden());
    await picture(page, name);

    await assertLanguage(page, language); // the browser's, until another one is chosen
    await choose(page, other);
    await page.reload();
    await page.locator('#mysql dl').waitFor();
    await assertLanguage(page, other);
    const second = await context.newPage();
    await second.goto(address);
    await second.locator(`html[lang=${other === 'zh' ? 'zh-CN' : other}]`).waitFor();
    await second.close();
  });
}

test('with today’s WeChat the person fills in the profile, binds the phone number, logs out and in again', async (t) => {
  const { page } = await visit(t, { opened: false });
  await assertAccess(page, 'closed');
  await open(page);
  await assertAccess(page, 'start', ['phone', 'storage']);
  await page.locator('.people summary').click();

  await tap(page, 'profile'); // WeChat returns a placeholder
  await tap(page, 'sync');
  await reads(page, 'WeChat no longer provides them: please choose your own');
  const { text } = (await logged(page, { unfold: true })).filter(({ kind }) => kind === 'http').pop();
  assert.match(text, /"anonymous": true/);
  assert.match(text, /"profileComplete": false/);
  await assertAccess(page, 'form');
  await save(page);
  await reads(page, 'Please choose an avatar or enter a nickname first.');
  await assertAccess(page, 'message');

  await page.locator('#nickname').focus(); // the phone offers the name that WeChat knows
  await assertAccess(page, 'name offered');
  const name = (await page.locator('#offer').innerText()).split(': ')[1];
  await page.locator('#offer').click();
  assert.equal(await page.locator('#nickname').inputValue(), name);
  await save(page);
  await reads(page, 'Saved. The avatar is still missing.');
  await column(page, 'nickname', name);

  await tap(page, 'back');
  const marked = page.locator('#mysql .changed').getByText(NAME).waitFor();
  await fillIn(page);
  await marked;
  await column(page, 'nickname', NAME);
  await column(page, 'profile_complete', 'yes');
  const filled = await logged(page);
  assert.ok(conversation(filled).includes('POST /uploadAvatar 200'));
  assert.ok(filled.some(({ kind, text: line }) => kind === 'http' && line.includes(NAME)));
  const avatar = phone(page).getByRole('img', { name: 'Avatar' });
  await page.waitForFunction((image) => image.complete && image.naturalWidth > 0, await avatar.elementHandle());

  await tap(page, 'profile');
  await reads(page, NAME);
  for (const allow of [false, true]) {
    await tap(page, 'phone');
    await assertAccess(page, `phone number, ${allow}`);
    await answer(page, allow);
    await reads(page, allow ? /^Phone number .*\*\*\*\*/ : 'You did not allow it. Nothing has changed, and you can try again.');
  }
  await column(page, 'phone_bound', 'yes');
  assert.ok(conversation(await logged(page)).includes('POST /bindPhone 200'));
  await tap(page, 'edit');
  await tap(page, 'avatar');
  await assertAccess(page, 'avatar');
  await answer(page, false);

  await tap(page, 'logout');
  await reads(page, 'You are logged out');
  await assertAccess(page, 'logged out');
  assert.equal(await holdsToken(page), false);
  assert.equal(conversation(await logged(page)).pop(), 'POST /logout 200');
  await page.reload(); // nothing logs in by itself
  await reads(page, 'You are logged out');
  await tap(page, 'login');
  await greets(page, NAME);
  assert.ok(await holdsToken(page));
  assert.equal(conversation(await logged(page)).pop(), 'POST /onLogin 200');
  assert.equal(await button(page, 'back').count(), 0, 'there is nowhere to go back to');
  await page.locator('.changed').first().waitFor({ state: 'detached' });
});

test('the person removes the phone number, and deletes the account: nothing is left, and the next login is a new user’s', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  await bindPhone(page);
  await column(page, 'phone_bound', 'yes');
  for (const confirmed of [false, true]) {
    await tap(page, 'unbind');
    await assertAccess(page, `remove the number, ${confirmed}`);
    await answer(page, confirmed);
    await button(page, confirmed ? 'phone' : 'unbind').waitFor();
  }
  await column(page, 'phone_bound', 'no');
  for (const confirmed of [false, true]) {
    await tap(page, 'delete');
    await assertAccess(page, `delete the account, ${confirmed}`);
    await answer(page, confirmed);
    await reads(page, confirmed ? 'Your account is deleted' : NAME);
  }
  await assertAccess(page, 'deleted', ['phone', 'storage']);
  await choose(page, 'zh');
  await assertLanguage(page, 'zh');
  await choose(page, 'en');
  await page.locator('#mysql').getByText('No row: the server does not know this person.').waitFor();
  await page.locator('#redis').getByText('wxlogin:session').waitFor({ state: 'detached' });
  assert.equal(await holdsToken(page), false);
  assert.deepEqual(conversation(await logged(page)).slice(-2), ['POST /unbindPhone 200', 'POST /deleteAccount 200']);
  await page.reload(); // nothing logs in by itself
  await reads(page, 'You are logged out');
  await tap(page, 'login');
  await greets(page, 'new friend');
  await column(page, 'profile_complete', 'no');
});

test('WeChat from before 2021 returns the profile and the phone number encrypted, after the person has agreed', async (t) => {
  const { page } = await visit(t);
  await page.locator('.people summary').click();
  await page.getByLabel('before 2021').check();
  await page.reload();
  await greets(page, 'new friend');
  assert.ok(await page.locator('#release [value=before]').isChecked(), 'what WeChat provides is remembered');
  await tap(page, 'profile');
  for (const allow of [false, true]) {
    await tap(page, 'sync');
    await answer(page, allow);
    await reads(page, allow ? 'Profile is complete' : /^You did not allow it/);
  }
  await column(page, 'profile_source', 'wechat');
  await tap(page, 'phone');
  await answer(page, true);
  await reads(page, /^Phone number .*\*\*\*\*/);
  assert.match((await logged(page)).findLast(({ label }) => label === 'POST /bindPhone').text, /encryptedData/);
});

test('a reload, a new phone of the same person, another person, and the second mini-program', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  const person = await personOf(page);
  const before = await logged(page);
  await page.reload();
  await greets(page, NAME);
  assert.equal(await personOf(page), person);
  assert.ok(await holdsToken(page));
  await page.locator('#entries > li').nth(before.length).getByText('200').waitFor();
  const after = await logged(page);
  assert.deepEqual(after.slice(0, before.length), before, 'the log is shown again');
  assert.equal(logins(after), logins(before));
  assert.equal(conversation(after).pop(), 'GET /userInfo 200');

  await play(page, 'expire');
  const sofar = logins(await logged(page));
  await page.locator('.people summary').click();
  await page.locator('#fresh').click();
  await page.waitForFunction((n) => [...document.querySelectorAll('#entries .wx')].length > n, sofar);
  await greets(page, NAME);
  assert.equal(await personOf(page), person);
  assert.ok(await page.locator('#story').isHidden(), 'the story was another phone’s');

  await tap(page, 'profile');
  await page.locator('[data-app="1"]').click();
  await greets(page, NAME);
  assert.ok(await holdsToken(page));
  const now = logins(await logged(page));
  await page.locator('[data-app="0"]').click();
  await reads(page, 'Profile is complete');
  assert.equal(logins(await logged(page)), now, 'each mini-program keeps its login and its page');

  await play(page, 'codetwice');
  await page.locator('#another').click();
  await greets(page, 'new friend');
  await column(page, 'profile_complete', 'no');
  assert.notEqual(await personOf(page), person);
  assert.deepEqual(conversation(await logged(page)), ['POST /onLogin 200'], 'another person has a log of their own');
  assert.ok(await page.locator('#story').isHidden(), 'the story was another person’s');
  assert.equal(await page.locator('#next').innerText(), 'Complete the profile');
});

test('a demo that goes away is reported, and found again when it is back', async (t) => {
  const line = await lineTo(t, new URL(address).port);
  const { page } = await visit(t, { at: line.url, allowed: /net::ERR_|Failed to load resource/ });
  await fillIn(page);
  const gone = page.locator('#gone');
  assert.equal(await gone.innerText(), '');
  line.cut();
  await gone.getByText('The demo does not respond').waitFor();
  await choose(page, 'zh');
  await gone.getByText('演示程序没有响应').waitFor();
  await choose(page, 'en');
  const told = await play(page, 'newkey');
  assert.match(told.end, /^The demo could not do it: /);
  assert.ok(!told.well);
  await line.join();
  await gone.getByText('The demo').waitFor({ state: 'hidden' });
  assert.equal(logins(await logged(page)), 1, 'the log is not shown twice');
  assert.equal((await play(page, 'expire')).end, `The phone is logged in, with the profile of ${NAME}.`);
});

// lineTo is a TCP proxy to the demo that can be cut, and joined again.
async function lineTo(t, port) {
  const sockets = new Set();
  const listener = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => { sockets.delete(one); other.destroy(); });
      one.pipe(other);
    }
  });
  const listen = (at) => new Promise((listening) => { listener.listen(at, '127.0.0.1', listening); });
  await listen(0);
  const { port: own } = listener.address();
  function cut() {
    listener.close();
    for (const socket of sockets) socket.destroy();
  }
  t.after(cut);
  return { url: `http://127.0.0.1:${own}`, cut, join: () => listen(own) };
}
