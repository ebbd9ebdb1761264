// One browser for all tests, and the page in it: a visit of its own for each test, which watches for what must not be.

const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');

const address = process.env.WXLOGIN_PAGE;
const executablePath = process.env.CHROMIUM;
assert.ok(address && executablePath, 'set WXLOGIN_PAGE to the address that the demo prints, and CHROMIUM to a path');

const PATIENCE = 10000; // milliseconds, for anything
const LAPTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const idle = new Map(); // contexts that nobody uses, by their options
let launched;

function launch() {
  launched = launched || chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  return launched;
}

async function closeBrowser() {
  if (launched) await (await launched).close();
}

// takeContext gives a browser profile, which may have been used before: to make one takes longer than most tests.
// fresh: one with an empty cache.
async function takeContext(options, fresh) {
  const key = JSON.stringify(options);
  const used = fresh ? undefined : (idle.get(key) || []).pop();
  const context = used || await (await launch()).newContext(options);
  return { context, giveBack: () => { idle.set(key, [...(idle.get(key) || []), context]); } };
}

/**
 * visit opens the page as a new person and gives { page, context, requests }, where requests are those that were
 * answered. At the end of the test nothing may have been thrown in the page, asked of anybody else, or complained of,
 * beside the refusals that the phone gets and what allowed matches.
 *
 * watch is told of the page before it opens; at is the address. fresh: with an empty cache.
 */
async function visit(t, { allowed = /$^/, watch = () => {}, at = address, fresh = false, ...options } = {}) {
  const { context, giveBack } = await takeContext({
    viewport: LAPTOP, locale: 'en-US', reducedMotion: 'reduce', ...options,
  }, fresh);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const requests = [];
  const faults = [];
  page.on('requestfinished', (request) => requests.push(request));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^https?:$/.test(url.protocol) && url.origin !== new URL(at).origin) faults.push(`asked ${url.origin}`);
  });
  page.on('pageerror', (err) => faults.push(`thrown: ${err.message}`));
  page.on('console', (message) => {
    if (!isRefusal(message) && !allowed.test(message.text())) faults.push(`${message.type()}: ${message.text()}`);
  });
  watch(page);
  t.after(async () => {
    await page.evaluate(() => localStorage.clear());
    await Promise.all(context.pages().map((open) => open.close()));
    giveBack();
    assert.deepEqual(faults, []);
  });
  await page.goto(at);
  await page.locator('#entries > li').first().waitFor();
  return { page, context, requests };
}

/** isRefusal tells whether the browser says no more than that the server refused something to the phone. */
function isRefusal(message) {
  return message.type() === 'error' && /\/phones\/[^/]+\/server\//.test(message.location().url) &&
    /^Failed to load resource: the server responded with a status of [45]\d\d/.test(message.text());
}

module.exports = { visit, closeBrowser, address, LAPTOP, PHONE };
