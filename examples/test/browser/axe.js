// Whether everybody can use the page, as far as axe-core can tell.

const assert = require('node:assert/strict');
const { source } = require('axe-core');

const STANDARDS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** assertAccess checks the page as it is now. It looks at all of it, so that what is scrolled away counts too. */
async function assertAccess(page, state) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(source);
  const { violations, passes } = await page.evaluate((values) => (
    globalThis.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] })), STANDARDS);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join('\n  ')}`);
  assert.deepEqual(found, [], state);
  assert.ok(passes.some(({ id }) => id === 'color-contrast'), 'axe-core has looked at nothing');
}

module.exports = { assertAccess };
