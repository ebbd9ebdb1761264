// Every width of the screen, and a phone with a touch screen.

const assert = require('node:assert/strict');
const test = require('node:test');
const { A_PHONE, NAME, PHONE, bindPhone, choose, fillIn, logged, openTab, picture, play, tap, visit } = require('../harness.js');
const { assertStandard } = require('../states.js');

const WIDTHS = [1440, 1024, 768, PHONE.width, 320];

// assertFits checks that nothing has to be scrolled sideways, and that whatever can be read or pressed is within the width.
async function assertFits(page, state) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: PHONE.height });
    for (const tab of width < 900 ? ['phone', 'network', 'storage'] : ['phone']) {
      assert.deepEqual(await page.evaluate((name) => {
        document.querySelector(`button[data-tab=${name}]`).click();
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
      }, tab), [], `${state}, ${width} pixels, ${tab}`);
    }
  }
  await page.setViewportSize(PHONE);
  await openTab(page, 'phone');
}

test('nothing is too wide on any screen, in both languages', async (t) => {
  const { page } = await visit(t, { viewport: PHONE });
  await fillIn(page);
  await assertFits(page, 'first page');
  await bindPhone(page);
  await tap(page, 'edit');
  await page.locator('.people summary').click();
  await assertFits(page, 'form');
  for (const kind of ['newkey', 'limit', 'secondapp', 'withdraw']) {
    await play(page, kind);
    await logged(page, { unfold: true });
    await assertFits(page, kind);
  }
  await choose(page, 'zh');
  await assertFits(page, 'Chinese');
});

test('on a phone, what happened is beside what was pressed, and leads to the refused request', async (t) => {
  const { page } = await visit(t, A_PHONE);
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
  await assertStandard(page, 'phone');
  assert.equal((await play(page, 'codetwice')).end, `The phone is logged in, with the profile of ${NAME}.`);
  await inSight('[data-fault=codetwice]');
  await inSight('#story');
  await page.locator('#show').tap();
  await inSight('.http.failed');
  await assertStandard(page, 'network');
  const log = await page.locator('#log').boundingBox();
  assert.ok(log.height >= 300 && log.height <= PHONE.height, `the log is ${log.height} high`);
  await page.locator('button[data-tab=storage]').tap();
  await page.locator('#redis').getByText(/sessions: \d/).waitFor();
  await assertStandard(page, 'storage');
  await page.locator('[data-language=zh]').tap();
  await page.locator('html[lang=zh-CN]').waitFor();
});
