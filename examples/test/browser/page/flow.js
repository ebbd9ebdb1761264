// The whole flow by clicks, as the phone, the wire and MySQL show it.

const assert = require('node:assert/strict');
const test = require('node:test');
const { visit } = require('../browser.js');
const { picture } = require('../pictures.js');
const {
  NAME, chooseAvatar, column, conversation, fillIn, greets, holdsToken, logged, phone, phoneButton, reads, tap,
} = require('../viewer.js');

test('the page logs in by itself, and shows it on the phone, the wire, in MySQL and in Redis', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  assert.equal(await page.title(), 'wxlogin: a login, live');
  const entries = await logged(page);
  assert.deepEqual(conversation(entries), ['POST /onLogin 200']);
  assert.deepEqual(conversation(entries, 'wx'), ['wx.login() 200']);
  assert.ok(conversation(entries, 'wechat').includes('GET /sns/jscode2session 200'));
  assert.ok(entries.some(({ text }) => text.includes('isNewUser true')));
  await column(page, 'profile_complete', 'no');
  await page.locator('#redis').getByText('wxlogin:session:').waitFor();
  assert.ok(await holdsToken(page));
  await picture(page, 'start');
});

test('WeChat of today gives a placeholder, and the person fills in the profile', async (t) => {
  const { page } = await visit(t);
  await tap(page, '我的资料');
  await tap(page, '同步微信资料');
  await reads(page, '微信不再直接提供头像和昵称，请您自己选择和填写');
  const answer = (await logged(page)).filter(({ kind }) => kind === 'http').pop();
  assert.match(answer.text, /anonymous true/);
  assert.match(answer.text, /profileComplete false/);
  await tap(page, '返回');
  await fillIn(page);
  await column(page, 'nickname', NAME);
  await column(page, 'profile_complete', 'yes');
  assert.ok(await page.locator('#mysql .changed').count() > 0, 'what has changed is not marked');
  const entries = await logged(page);
  assert.ok(conversation(entries).some((line) => /avatar 200$/i.test(line)));
  assert.ok(entries.some(({ kind, text }) => kind === 'http' && text.includes(NAME)));
  const avatar = phone(page).getByRole('img', { name: '头像' });
  await page.waitForFunction((image) => image.complete && image.naturalWidth > 0, await avatar.elementHandle());
  await tap(page, '我的资料');
  await reads(page, NAME);
  await picture(page, 'profile');
});

test('WeChat from before 2021 gives the profile by itself', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  await page.getByLabel('before 2021').check();
  await page.reload();
  await greets(page, '新朋友');
  assert.ok(await page.getByLabel('before 2021').isChecked(), 'what WeChat gives is remembered');
  await tap(page, '我的资料');
  await tap(page, '同步微信资料');
  await reads(page, '资料已完整');
  await column(page, 'profile_source', 'wechat');
});

test('the keyboard of the phone offers the name that WeChat knows', async (t) => {
  const { page } = await visit(t);
  await page.locator('#mysql dl').waitFor(); // with it the phone learns the name
  await tap(page, '我的资料');
  const input = page.getByPlaceholder('请输入昵称');
  await input.focus();
  const offer = phone(page).getByRole('button', { name: /^用微信昵称/ });
  const name = (await offer.innerText()).split('：')[1];
  await offer.click();
  assert.equal(await input.inputValue(), name);
  await chooseAvatar(page);
  await tap(page, '保存');
  await reads(page, '资料已完整');
  await column(page, 'nickname', name);
});

test('the phone number is bound, and only its masked form is seen', async (t) => {
  const { page } = await visit(t);
  await tap(page, '我的资料');
  await tap(page, '绑定手机号');
  await tap(page, '不允许');
  await reads(page, '您没有同意授权，什么都没有改变，需要时可以再试一次。');
  await tap(page, '绑定手机号');
  await tap(page, '允许');
  await phone(page).getByText(/^手机号 .*\*\*\*\*/).waitFor();
  await column(page, 'phone_bound', 'yes');
  assert.ok(conversation(await logged(page)).includes('POST /bindPhone 200'));
});

test('after a logout nothing logs in by itself, and a login brings the profile back', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  await fillIn(page);
  await tap(page, '我的资料');
  await tap(page, '退出登录');
  await reads(page, '您已退出登录');
  assert.equal(await holdsToken(page), false);
  assert.equal(conversation(await logged(page)).pop(), 'POST /logout 200');
  await page.reload();
  await reads(page, '您已退出登录');
  await tap(page, '登录');
  await greets(page, NAME);
  assert.ok(await holdsToken(page));
  assert.equal(conversation(await logged(page)).pop(), 'POST /onLogin 200');
  assert.equal(await phoneButton(page, '返回').count(), 0, 'there is nowhere to go back to');
});
