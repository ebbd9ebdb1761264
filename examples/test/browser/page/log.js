// The log of what crosses the wire: how it is read.

const assert = require('node:assert/strict');
const test = require('node:test');
const { visit } = require('../browser.js');
const { arrive, choose, logged, play, tap } = require('../viewer.js');

const gapBelow = (page) => page.locator('#log').evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop);

test('the end of the log stays in sight, unless somebody reads further up', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  assert.ok(await page.locator('#log').evaluate((log) => log.scrollTop > 0), 'there is nothing to scroll');
  assert.ok(await gapBelow(page) < 2);
  await play(page, 'codetwice');
  assert.ok(await gapBelow(page) < 2);
  await choose(page, 'zh');
  assert.ok(await gapBelow(page) < 2);

  await page.locator('#log').evaluate((log) => { log.scrollTop = 0; });
  const before = (await logged(page)).length;
  await tap(page, '刷新');
  await page.locator('#entries > li').nth(before + 1).waitFor();
  assert.equal(await page.locator('#log').evaluate((log) => log.scrollTop), 0);
});

test('secrets are named, the same one the same everywhere, and the log can be cleared', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  const bars = await page.locator('#entries > li').evaluateAll((entries) => entries.map((entry) => ({
    label: entry.querySelector('.label')?.textContent,
    bars: [...entry.querySelectorAll('.secret')].map((bar) => bar.firstChild.data),
  })));
  const of = (label) => bars.find((entry) => entry.label === label).bars;
  assert.deepEqual(of('POST /onLogin'), ['code 1']);
  assert.ok(of('GET /sns/jscode2session').includes('code 1'));
  assert.ok(bars.some((entry) => entry.label === '200 OK' && entry.bars.includes('session_key 1')));
  await page.locator('#redis').getByText('SHA-256 of token 1').waitFor();

  await page.locator('#clear').click();
  assert.deepEqual(await logged(page), []);
  await page.locator('#log').getByText('Nothing yet.').waitFor();
  await tap(page, '刷新');
  await page.locator('#entries > li').nth(1).waitFor();
  assert.deepEqual((await logged(page)).map(({ label }) => label), ['GET /userInfo', '200 OK']);
  assert.ok(await page.locator('#nothing').isHidden());
});
