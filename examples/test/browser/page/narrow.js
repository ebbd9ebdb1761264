// The page on a phone.

const assert = require('node:assert/strict');
const test = require('node:test');
const { PHONE, visit } = require('../browser.js');
const { picture } = require('../pictures.js');
const { NAME, arrive, choose, play, tap } = require('../viewer.js');

const WIDTHS = [1024, 768, 320, PHONE.width];

// assertFits checks that nothing has to be scrolled sideways, and that whatever can be read or pressed lies within the
// width.
async function assertFits(page, state) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: PHONE.height });
    assert.deepEqual(await tooWide(page), [], `${state}, ${width} pixels`);
  }
}

function tooWide(page) {
  return page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    const log = document.querySelector('#log');
    const places = [...document.querySelectorAll('button, input, label, h1, h2, p, li, dd, dt, #log')];
    const found = places.filter((element) => {
      const { width, left, right } = element.getBoundingClientRect();
      return width > 0 && (left < 0 || right > clientWidth + 0.5);
    });
    if (scrollWidth > clientWidth) found.push(document.documentElement);
    if (log.scrollWidth > log.clientWidth) found.push(log);
    return found.map(({ tagName, id, textContent }) => `${tagName} ${id} ${textContent.slice(0, 40)}`);
  });
}

test('nothing is too wide on any screen, in both languages', async (t) => {
  const { page } = await visit(t, { viewport: PHONE });
  await arrive(page);
  await assertFits(page, 'first page');
  await tap(page, '我的资料');
  await tap(page, '修改资料');
  await assertFits(page, 'form');
  for (const kind of ['newkey', 'codetwice', 'secondapp']) {
    assert.equal((await play(page, kind)).end, `The phone is logged in, with the profile of ${NAME}.`);
    await assertFits(page, kind);
  }
  await choose(page, 'zh');
  await assertFits(page, 'Chinese');
});

test('on a phone one sees what happened without looking for it, and can read the log', async (t) => {
  const { page } = await visit(t, { viewport: PHONE, hasTouch: true, isMobile: true });
  await arrive(page);
  await play(page, 'codetwice');
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector('#story').getBoundingClientRect();
    return top > -1 && bottom < innerHeight + 1; // scrolling ends at whole pixels
  });
  await page.locator('#redis').getByText(/sessions: 3/).waitFor();
  await picture(page, 'narrow', { fullPage: true });
  const log = await page.locator('#log').boundingBox();
  assert.ok(log.height >= 300 && log.height <= PHONE.height, `the log is ${log.height} high`);
  for (const button of ['#clear', '#another', '[data-app="1"]', '[data-language=zh]']) await page.locator(button).tap();
  await page.locator('html[lang=zh-CN]').waitFor();
});
