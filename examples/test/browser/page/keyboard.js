// Everything from the keyboard alone.

const assert = require('node:assert/strict');
const test = require('node:test');
const { visit } = require('../browser.js');
const { column, ended, fault, greets, logged, personOf, phone, phoneButton, reads } = require('../viewer.js');

const MOST_STEPS = 60; // to anything, with the Tab key

const isFocused = (element) => element.evaluate((node) => node === document.activeElement);

// reach goes on to an element with the Tab key, and checks that the focus can be seen on it.
async function reach(page, element) {
  await element.waitFor();
  for (let steps = 0; steps < MOST_STEPS && !await isFocused(element); steps++) await page.keyboard.press('Tab');
  assert.ok(await isFocused(element), `${element} cannot be reached`);
  const outline = await element.evaluate((node) => getComputedStyle(node).outlineStyle);
  assert.notEqual(outline, 'none', `${element}: the focus cannot be seen`);
}

async function press(page, element, key = 'Enter') {
  await reach(page, element);
  await page.keyboard.press(key);
}

// assertFocusOnPhone checks that what was pressed has not taken the focus with it.
async function assertFocusOnPhone(page) {
  const where = await page.evaluate(async () => {
    await new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); });
    return document.querySelector('#screen').contains(document.activeElement) || document.activeElement.outerHTML;
  });
  assert.equal(where, true, 'the focus has left the phone');
}

test('the whole flow from the keyboard', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  await press(page, phoneButton(page, '我的资料'));
  await reads(page, '资料还不完整');
  await assertFocusOnPhone(page);
  await press(page, phoneButton(page, '同步微信资料'), 'Space');
  await reads(page, '微信不再直接提供头像和昵称，请您自己选择和填写');
  await assertFocusOnPhone(page);

  await press(page, phoneButton(page, '选择头像'));
  assert.ok(await isFocused(phoneButton(page, '用微信头像')), 'the dialog takes the focus');
  await page.keyboard.press('Escape');
  assert.ok(await isFocused(phoneButton(page, '选择头像')), 'the dialog gives the focus back');
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await page.locator('#screen .small').waitFor();
  await assertFocusOnPhone(page);

  await reach(page, page.getByPlaceholder('请输入昵称'));
  await page.keyboard.type('Kim');
  await press(page, phone(page).getByRole('button', { name: /^用微信昵称/ }));
  assert.ok(await isFocused(page.getByPlaceholder('请输入昵称')), 'the offer gives the focus to the input');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('Kim');
  await press(page, phoneButton(page, '保存'));
  await reads(page, '资料已完整');
  await column(page, 'nickname', 'Kim');
  await assertFocusOnPhone(page);

  await press(page, phoneButton(page, '绑定手机号'));
  await page.keyboard.press('Enter');
  await phone(page).getByText(/^手机号 /).waitFor();
  await assertFocusOnPhone(page);
  await press(page, phoneButton(page, '返回'));
  await greets(page, 'Kim');
  await assertFocusOnPhone(page);
  await press(page, phoneButton(page, '我的资料'));
  await press(page, phoneButton(page, '退出登录'));
  await reads(page, '您已退出登录');
  await assertFocusOnPhone(page);
  await press(page, phoneButton(page, '登录'));
  await greets(page, 'Kim');
  await assertFocusOnPhone(page);
});

test('faults, the log and the people from the keyboard', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  for (const [kind, key] of [['newkey', 'Enter'], ['expire', 'Space'], ['secondapp', 'Enter']]) {
    await press(page, fault(page, kind), key);
    assert.ok((await ended(page)).well);
    assert.ok(await isFocused(fault(page, kind)), 'the button keeps the focus');
  }
  const log = page.locator('#log');
  await reach(page, log);
  const bottom = await log.evaluate((region) => region.scrollTop);
  assert.ok(bottom > 0, 'there is nothing to scroll');
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.querySelector('#log').scrollTop === 0);

  await press(page, page.locator('#clear'));
  assert.equal((await logged(page)).length, 0);
  await press(page, page.locator('[data-app="0"]'), 'Space');
  assert.equal(await page.locator('[data-app="0"]').getAttribute('aria-pressed'), 'true');
  const person = await personOf(page);
  await press(page, page.locator('#another'));
  await greets(page, '新朋友');
  assert.notEqual(await personOf(page), person);
  assert.ok(await isFocused(page.locator('#another')));
  await reach(page, page.locator('#release input[value=today]'));
  await page.keyboard.press('ArrowDown');
  assert.ok(await page.locator('#release input[value=before]').isChecked());
  await press(page, page.locator('[data-language=zh]'));
  await page.locator('html[lang=zh-CN]').waitFor();
  assert.ok(await isFocused(page.locator('[data-language=zh]')));
});
