// What must be so in every state of the page: everybody can use it, and it speaks one language.

const assert = require('node:assert/strict');
const { source } = require('axe-core');
const { LAPTOP, PHONE, choose } = require('./harness.js');

const STANDARD = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] };
const LOOKS = ['color-contrast', 'target-size', 'scrollable-region-focusable']; // the rules that sizes and colors can break

/** assertStandard checks with axe-core what can be seen, by all rules or by the named ones. */
async function assertStandard(page, state, runOnly = STANDARD) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(source);
  const { violations, passes } = await page.evaluate((only) => (
    globalThis.axe.run(document, { runOnly: only, resultTypes: ['violations'], preload: false })), runOnly);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join('\n  ')}`);
  assert.deepEqual(found, [], state);
  assert.ok(passes.some(({ id }) => id === 'color-contrast'), 'axe-core has looked at nothing');
}

/** assertAccess checks a state of the page on a laptop in the light, and how these tabs look on a phone in the dark. */
async function assertAccess(page, state, tabs = ['phone']) {
  const show = (tab) => page.locator(`button[data-tab=${tab}]`).dispatchEvent('click'); // which leaves the focus
  await assertStandard(page, state);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize(PHONE);
  for (const tab of tabs) {
    await show(tab);
    await assertStandard(page, `${state}, ${tab}`, LOOKS);
  }
  await show('phone');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(LAPTOP);
}

// What is the same in both languages: names of fields and what they hold, and what people are called.
const NEUTRAL = 'code, pre, .values, .took, .secret, .status, .store dt, .store dd, [data-language], script, noscript, #clock, ' +
  '#name, #offer, .status-bar, .end, #greeting, [hidden]';
const CHINESE = /[\u3400-\u9fff]/;

/** assertLanguage checks what the page says to those who see it and to those who hear it. */
async function assertLanguage(page, language) {
  const words = await page.evaluate((neutral) => {
    for (const details of document.querySelectorAll('#entries details')) details.open = true;
    const found = [document.title];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { data, parentElement } = texts.currentNode;
      if (!parentElement.closest(neutral)) found.push(data.trim());
    }
    for (const element of document.querySelectorAll('[aria-label]:not([hidden]), [alt]')) found.push(element.ariaLabel || element.alt);
    return found.filter((text) => /\p{L}/u.test(text));
  }, NEUTRAL);
  assert.ok(words.length > 50, 'there is nothing to read');
  const foreign = language === 'en' ? words.filter((text) => CHINESE.test(text))
    : words.filter((text) => !CHINESE.test(text) && !/^(wxlogin|[\d.]+ ms)$/.test(text));
  assert.deepEqual(foreign, []);
  assert.equal(await page.locator('html').getAttribute('lang'), language === 'en' ? 'en' : 'zh-CN');
}

/** assertBothLanguages checks that everything changes with the language, both ways. It begins and ends in English. */
async function assertBothLanguages(page) {
  await assertLanguage(page, 'en');
  for (const language of ['zh', 'en']) {
    await choose(page, language);
    await assertLanguage(page, language);
  }
}

module.exports = { assertAccess, assertBothLanguages, assertLanguage, assertStandard };
