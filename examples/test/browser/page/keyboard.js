// Everything works from the keyboard, and the focus can be seen and is not lost.

const assert = require('node:assert/strict');
const test = require('node:test');
const { button, column, ended, fault, greets, logged, personOf, phone, reads, visit } = require('../harness.js');

const MOST_STEPS = 80; // to anything, with the Tab key

const isFocused = (element) => element.evaluate((node) => node === document.activeElement);

// press goes to an element with the Tab key, on or back, checks that the focus can be seen on it, and presses a key there.
async function press(page, element, key = 'Enter') {
  await element.waitFor();
  const isBehind = await element.evaluate((node) => (
    Boolean(node.compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_FOLLOWING)));
  for (let steps = 0; steps < MOST_STEPS && !await isFocused(element); steps++) await page.keyboard.press(isBehind ? 'Shift+Tab' : 'Tab');
  assert.ok(await isFocused(element), `${element} cannot be reached`);
  const outline = await element.evaluate((node) => getComputedStyle(node).outlineStyle);
  assert.notEqual(outline, 'none', `${element}: the focus cannot be seen`);
  if (key) await page.keyboard.press(key);
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
  const { page } = await visit(t, { opened: false });
  await press(page, button(page, 'open'));
  await greets(page, 'new friend');
  await press(page, button(page, 'profile'));
  await reads(page, 'Profile is incomplete');
  await assertFocusOnPhone(page);
  await press(page, button(page, 'sync'), 'Space');
  await reads(page, 'WeChat no longer provides them: please choose your own');
  await assertFocusOnPhone(page);

  await press(page, button(page, 'avatar'));
  assert.ok(await isFocused(page.locator('#allow')), 'the dialog takes the focus');
  await page.keyboard.press('Escape');
  assert.ok(await isFocused(button(page, 'avatar')), 'the dialog gives the focus back');
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await page.locator('#chosen:visible').waitFor();
  await assertFocusOnPhone(page);

  const input = page.locator('#nickname');
  await press(page, input, null);
  await page.keyboard.type('Kim');
  await press(page, page.locator('#offer'));
  assert.ok(await isFocused(input), 'the offer gives the focus to the input');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('Kim');
  await press(page, page.locator('#form [type=submit]'));
  await reads(page, 'Profile is complete');
  await column(page, 'nickname', 'Kim');
  await assertFocusOnPhone(page);

  await press(page, button(page, 'phone'));
  await page.keyboard.press('Enter');
  await phone(page).getByText(/^Phone number /).waitFor();
  await assertFocusOnPhone(page);
  for (const [name, text] of [['back', 'Hello, Kim'], ['profile', 'Profile is complete'], ['logout', 'You are logged out'], ['login', 'Hello, Kim']]) {
    await press(page, button(page, name));
    await reads(page, text);
    await assertFocusOnPhone(page);
  }
  await press(page, button(page, 'profile'));
  await reads(page, 'Profile is complete');
  for (const key of ['Escape', 'Enter']) {
    await press(page, button(page, 'delete'));
    await page.keyboard.press(key);
  }
  await reads(page, 'Your account is deleted');
  await assertFocusOnPhone(page);
});

test('faults, the log, the people and the language from the keyboard', async (t) => {
  const { page } = await visit(t);
  for (const [kind, key] of [['newkey', 'Enter'], ['expire', 'Space'], ['secondapp', 'Enter']]) {
    await press(page, fault(page, kind), key);
    assert.ok((await ended(page)).well);
    assert.ok(await isFocused(fault(page, kind)), 'the button keeps the focus');
  }
  const log = page.locator('#log');
  await press(page, log, 'End');
  await page.waitForFunction(() => document.querySelector('#log').scrollTop > 0);
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.querySelector('#log').scrollTop === 0);
  await press(page, page.locator('#entries summary').first());
  await page.locator('.unfolded').waitFor();
  await press(page, page.locator('#secrets'), 'Space');
  assert.ok(await page.locator('#secrets').isChecked());
  await press(page, page.locator('#clear'));
  assert.equal((await logged(page)).length, 0);

  await press(page, page.locator('[data-app="0"]'), 'Space');
  assert.equal(await page.locator('[data-app="0"]').getAttribute('aria-pressed'), 'true');
  const person = await personOf(page);
  await press(page, page.locator('.people summary'));
  await press(page, page.locator('#another'));
  await greets(page, 'new friend');
  assert.notEqual(await personOf(page), person);
  assert.ok(await isFocused(page.locator('#another')));
  await press(page, page.locator('#release input[value=today]'), 'ArrowDown');
  assert.ok(await page.locator('#release input[value=before]').isChecked());
  await press(page, page.locator('[data-language=zh]'));
  await page.locator('html[lang=zh-CN]').waitFor();
  assert.ok(await isFocused(page.locator('[data-language=zh]')));
});
