// English and Chinese, and every width of the screen.

const assert = require('node:assert/strict');
const test = require('node:test');
const {
  FAULTS, NAME, PHONE, address, choose, ended, fillIn, greets, holdFault, logged, picture, play, tap, visit,
} = require('../harness.js');

// What is the same in both languages: names of fields and what they hold, and what people are called.
const NEUTRAL = 'code, pre, .values, .took, .secret, .status, .store dt, .store dd, [data-language], script, noscript, #clock, ' +
  '#name, #offer, .status-bar, .end, #greeting, [hidden]';
const CHINESE = /[\u3400-\u9fff]/;
const WIDTHS = [1440, 1024, 768, PHONE.width, 320];

// assertLanguage checks what the page says to those who see it and to those who hear it.
async function assertLanguage(page, language) {
  await page.evaluate(() => document.querySelectorAll('#entries details').forEach((one) => { one.open = true; }));
  const words = await page.evaluate((neutral) => {
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

test('everything that page and phone say changes with the language, both ways', async (t) => {
  const { page } = await visit(t);
  await page.locator('#mysql dl').waitFor();
  await assertLanguage(page, 'en');
  await choose(page, 'zh');
  await page.locator('#greeting').getByText('你好，新朋友').waitFor();
  await assertLanguage(page, 'zh');
  await fillIn(page, 'Kim');
  for (const kind of FAULTS) {
    assert.ok((await play(page, kind)).well);
    await assertLanguage(page, 'zh');
    await choose(page, 'en');
    await assertLanguage(page, 'en');
    await choose(page, 'zh');
    await page.locator('#clear').click();
  }
});

test('what is under way changes its language too', async (t) => {
  const { page } = await visit(t);
  const goOn = await holdFault(page, 'expire');
  await choose(page, 'zh');
  await page.locator('#story').getByText('正在进行…').waitFor();
  goOn();
  assert.ok((await ended(page)).well);
});

test('the language that was chosen is remembered, and a Chinese browser gets Chinese until then', async (t) => {
  const { page, context } = await visit(t, { locale: 'zh-CN' });
  await assertLanguage(page, 'zh');
  await choose(page, 'en');
  await page.reload();
  await greets(page, 'new friend');
  await assertLanguage(page, 'en');
  const other = await context.newPage();
  await other.goto(address);
  await other.locator('html[lang=en]').waitFor();
});

// assertFits checks that nothing has to be scrolled sideways, and that whatever can be read or pressed is within the width.
async function assertFits(page, state) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: PHONE.height });
    for (const tab of width < 900 ? ['phone', 'network', 'storage'] : ['']) {
      if (tab) await page.locator(`button[data-tab=${tab}]`).click();
      assert.deepEqual(await page.evaluate(() => {
        const { clientWidth } = document.documentElement;
        const places = [...document.querySelectorAll('button, input, label, h1, h2, h3, p, li, dd, dt, pre, summary, #log')];
        const found = places.filter((element) => {
          const { width: own, left, right } = element.getBoundingClientRect();
          return own > 1 && (left < 0 || right > clientWidth + 0.5);
        });
        for (const element of [document.documentElement, ...document.querySelectorAll('#log, .store, .faults, .content')]) {
          if (element.scrollWidth > element.clientWidth) found.push(element);
        }
        return found.map(({ tagName, id, textContent }) => `${tagName} ${id} ${textContent.slice(0, 40)}`);
      }), [], `${state}, ${width} pixels, ${tab}`);
    }
  }
  await page.setViewportSize(PHONE);
  await page.locator('button[data-tab=phone]').click();
}

test('nothing is too wide on any screen, in both languages', async (t) => {
  const { page } = await visit(t, { viewport: PHONE });
  await fillIn(page);
  await assertFits(page, 'first page');
  await tap(page, 'profile');
  await tap(page, 'edit');
  await page.locator('.people summary').click();
  await assertFits(page, 'form');
  for (const kind of ['newkey', 'limit', 'secondapp']) {
    await play(page, kind);
    await logged(page, { unfold: true });
    await assertFits(page, kind);
  }
  await choose(page, 'zh');
  await assertFits(page, 'Chinese');
});

test('on a phone, what happened is beside what was pressed, and leads to the refused request', async (t) => {
  const { page } = await visit(t, { viewport: PHONE, hasTouch: true, isMobile: true });
  await fillIn(page);
  const inSight = (selector) => page.waitForFunction((wanted) => {
    const { top, bottom } = [...document.querySelectorAll(wanted)].pop().getBoundingClientRect();
    return top > -1 && bottom < innerHeight + 1; // scrolling ends at whole pixels
  }, selector);
  await page.locator('#next').tap();
  await page.locator('#story .end').waitFor();
  await inSight('#start');
  await inSight('#story');
  await picture(page, 'narrow');
  assert.equal((await play(page, 'codetwice')).end, `The phone is logged in, with the profile of ${NAME}.`);
  await inSight('[data-fault=codetwice]');
  await inSight('#story');
  await page.locator('#show').tap();
  await inSight('.http.failed');
  const log = await page.locator('#log').boundingBox();
  assert.ok(log.height >= 300 && log.height <= PHONE.height, `the log is ${log.height} high`);
  await page.locator('button[data-tab=storage]').tap();
  await page.locator('#redis').getByText(/sessions: \d/).waitFor();
  await page.locator('[data-language=zh]').tap();
  await page.locator('html[lang=zh-CN]').waitFor();
});
