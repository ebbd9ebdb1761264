// English and Chinese.

const assert = require('node:assert/strict');
const test = require('node:test');
const { address, visit } = require('../browser.js');
const { picture } = require('../pictures.js');
const { FAULTS, choose, ended, fillIn, greets, play, playHeld } = require('../viewer.js');

// What is the same in both languages: the phone, which speaks Chinese only, names of fields and what they hold.
const NEUTRAL = '#screen, .status-bar, code, .value, .name, .when, dt, dd, [data-language], script, noscript';

// wordsOf gives what the page says to those who see it and to those who hear it.
function wordsOf(page) {
  return page.evaluate((neutral) => {
    const words = [document.title];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { data, parentElement } = texts.currentNode;
      const isNameOfSecret = parentElement.matches('.secret');
      if (data.trim() && !isNameOfSecret && !parentElement.closest(neutral)) words.push(data.trim());
    }
    for (const element of document.querySelectorAll('[aria-label], [title]')) {
      if (!element.closest('#screen')) words.push(element.getAttribute('aria-label') || element.title);
    }
    return words.filter(Boolean);
  }, NEUTRAL);
}

const CHINESE = /[\u3400-\u9fff]/;

async function assertEnglish(page) {
  const words = await wordsOf(page);
  assert.ok(words.length > 30, 'there is nothing to read');
  assert.deepEqual(words.filter((text) => CHINESE.test(text)), []);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
}

async function assertChinese(page) {
  const words = await wordsOf(page);
  assert.ok(words.length > 30, 'there is nothing to read');
  assert.deepEqual(words.filter((text) => /[a-z]/i.test(text) && !CHINESE.test(text) && text !== 'wxlogin'), []);
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
}

test('everything that the page says changes with the language, both ways', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  await page.locator('#mysql dl').waitFor();
  await assertEnglish(page);
  await choose(page, 'zh');
  await assertChinese(page);
  await fillIn(page, 'Kim');
  for (const kind of FAULTS) {
    assert.ok((await play(page, kind)).well);
    await assertChinese(page);
    if (kind === 'codetwice') await picture(page, 'chinese');
    await choose(page, 'en');
    await assertEnglish(page);
    await choose(page, 'zh');
  }
});

test('what is under way changes its language too', async (t) => {
  const { page } = await visit(t);
  const goOn = await playHeld(page, 'expire');
  await choose(page, 'zh');
  await page.locator('#story').getByText('正在进行…').waitFor();
  goOn();
  assert.ok((await ended(page)).well);
});

test('the language that was chosen is remembered', async (t) => {
  const { page, context } = await visit(t);
  await choose(page, 'zh');
  await page.reload();
  await page.locator('html[lang=zh-CN]').waitFor();
  const other = await context.newPage();
  await other.goto(address);
  await other.locator('html[lang=zh-CN]').waitFor();
});

test('a Chinese browser gets Chinese, until somebody chooses', async (t) => {
  const { page } = await visit(t, { locale: 'zh-CN' });
  await assertChinese(page);
  await choose(page, 'en');
  await page.reload();
  await page.locator('html[lang=en] #entries > li').first().waitFor();
  await assertEnglish(page);
});
