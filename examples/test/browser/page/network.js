// What the page costs, and whom it asks. That it asks nobody else, each visit checks.

const assert = require('node:assert/strict');
const test = require('node:test');
const { visit } = require('../browser.js');
const { greets } = require('../viewer.js');

const LEAST = 10e3; // bytes: less cannot have been counted right
const MOST = 100e3;

test('the page is under 100 KB over the wire until it is logged in, and runs nothing but its files', async (t) => {
  const { page, requests } = await visit(t, { fresh: true });
  await greets(page, '新朋友');
  await page.locator('#mysql dl').waitFor();
  await page.locator('#redis li').first().waitFor();
  const paths = requests.map((request) => new URL(request.url()).pathname);
  for (const part of ['/', '/assets/page.css', '/bundle/phone.js', '/bundle/miniprogram.js']) {
    assert.ok(paths.includes(part), part);
  }
  const counted = requests.filter((request) => !request.url().endsWith('/events'));
  const sizes = await Promise.all(counted.map(async (request) => (await request.sizes()).responseBodySize));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes > LEAST && bytes < MOST, `${bytes} bytes`);
  t.diagnostic(`${bytes} bytes in ${counted.length} answers`);

  const document = requests.find((request) => request.resourceType() === 'document');
  const policy = (await document.response()).headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe/);
  const inline = 'script:not([src]), style, [onclick], [onload], [onerror], a[href^="javascript:"]';
  assert.equal(await page.locator(inline).count(), 0);
});
