// One browser for all tests, a visit of the page for each test, and what viewers do with the page and see of it.

const assert = require('node:assert/strict');
const path = require('node:path');
const { chromium } = require('playwright-core');

const address = process.env.WXLOGIN_PAGE;
const executablePath = process.env.CHROMIUM;
assert.ok(address && executablePath, 'set WXLOGIN_PAGE to the address that the demo prints, and CHROMIUM to a path');

const PATIENCE = 30000; // milliseconds, for anything, also on a busy machine
const LAPTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const A_PHONE = { viewport: PHONE, hasTouch: true, isMobile: true };
const NAME = 'Lin 林';
const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];

const contexts = new Map(); // by their options: to make one takes longer than most tests
let launched;

function launch() {
  launched ||= chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  return launched;
}

async function contextWith(options) {
  const key = JSON.stringify(options);
  if (!contexts.has(key)) contexts.set(key, await (await launch()).newContext({ locale: 'en-US', reducedMotion: 'reduce', ...options }));
  return contexts.get(key);
}

async function closeBrowser() {
  if (launched) await (await launched).close();
}

/**
 * visit opens the page as a new person, has the mini-program log in unless opened is false, and returns { page, context,
 * requests }. At the end of the test nothing may have been thrown in the page, requested from another origin, or logged to
 * the console, except refusals that the phone gets and what allowed matches. watch gets the page before it opens; at is
 * its address; other options are the context's.
 */
async function visit(t, { allowed = /$^/, watch = () => {}, at = address, opened = true, viewport = LAPTOP, ...options } = {}) {
  const context = await contextWith(options);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.setViewportSize(viewport);
  const requests = [];
  const faults = [];
  page.on('requestfinished', (request) => requests.push(request));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^https?:$/.test(url.protocol) && url.origin !== new URL(at).origin) faults.push(`requested ${url.origin}`);
  });
  page.on('pageerror', (err) => faults.push(`thrown: ${err.message}`));
  page.on('console', (message) => {
    if (!isRefusal(message) && !allowed.test(message.text())) faults.push(`${message.type()}: ${message.text()}`);
  });
  watch(page);
  t.after(async () => {
    await page.evaluate(() => localStorage.clear());
    await page.close();
    assert.deepEqual(faults, []);
  });
  await page.goto(at);
  await page.locator('#next').waitFor();
  await page.evaluate(() => new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); }));
  if (opened) await open(page);
  return { page, context, requests };
}

/** isRefusal reports whether the browser logs only that the server refused something to the phone. */
function isRefusal(message) {
  return message.type() === 'error' && /\/phones\/[^/]+\/server\//.test(message.location().url) &&
    /^Failed to load resource: the server responded with a status of [45]\d\d/.test(message.text());
}

/** picture takes one of what can be seen, for those who want to see how the page looks. */
async function picture(page, name) {
  await page.evaluate(() => document.querySelectorAll('.changed').forEach(({ classList }) => classList.remove('changed')));
  await page.screenshot({ path: path.join(__dirname, '../../screenshots', `${name}.png`) });
}

const phone = (page) => page.locator('#screen');
const button = (page, name) => page.locator(`[data-tap=${name}]:visible`);
const fault = (page, kind) => page.locator(`[data-fault=${kind}]`);
const tap = (page, name) => button(page, name).click();
const answer = (page, allow) => page.locator(allow ? '#allow' : '#deny').click();
const save = (page) => page.locator('#form [type=submit]').click();
const openTab = (page, name) => page.locator(`button[data-tab=${name}]`).click();
const personOf = (page) => page.evaluate(() => sessionStorage.getItem('person'));

/** reads waits until a text can be read on the phone. */
async function reads(page, text) {
  await phone(page).getByText(text, { exact: typeof text === 'string' }).locator('visible=true').first().waitFor();
}

const greets = (page, name) => reads(page, `Hello, ${name}`);

/** open is the first step of the page, by the keyboard: on a busy machine Chromium may lose a click on a page that is new. */
async function open(page) {
  await page.locator('#next').press('Enter');
  await page.locator('#greeting').getByText(/^(Hello, new friend|你好，新朋友)$/).waitFor();
}

/** fillIn fills in the profile as today's WeChat has people do it. It begins and ends on the first page. */
async function fillIn(page, name = NAME) {
  await tap(page, 'profile');
  await tap(page, 'avatar');
  await answer(page, true);
  await page.locator('#chosen:visible').waitFor();
  await page.locator('#nickname').fill(name);
  await save(page);
  await button(page, 'edit').waitFor();
  await tap(page, 'back');
  await page.locator('#greeting').getByText(name).waitFor();
}

/** bindPhone binds the phone number. It begins on the first page and ends on the profile. */
async function bindPhone(page) {
  await tap(page, 'profile');
  await tap(page, 'phone');
  await answer(page, true);
  await reads(page, /^Phone number .*\*\*\*\*/);
}

/** play presses a fault button and returns what the page says of how it ended. */
async function play(page, kind) {
  await fault(page, kind).click();
  return ended(page);
}

async function ended(page) {
  await page.locator('#story .end').waitFor();
  await page.locator('[data-fault][aria-disabled]').first().waitFor({ state: 'detached' });
  return page.locator('#story').evaluate((story) => ({
    sentences: [...story.querySelectorAll('li')].map(({ innerText }) => innerText),
    end: story.querySelector('.end').innerText,
    well: !story.querySelector('.end.bad'),
  }));
}

/** choose has the page speak a language: en or zh. */
async function choose(page, language) {
  await page.locator(`[data-language=${language}]`).click();
  await page.locator(`html[lang=${language === 'zh' ? 'zh-CN' : language}]`).waitFor();
  assert.equal(await page.locator(`[data-language=${language}]`).getAttribute('aria-pressed'), 'true');
}

/** logged returns the entries of the log; unfold: with their JSON. */
async function logged(page, { unfold = false } = {}) {
  if (unfold) {
    await page.evaluate(() => document.querySelectorAll('#entries details').forEach((one) => { one.open = true; }));
    await page.waitForFunction(() => !document.querySelector('#entries details:not(:has(.unfolded))'));
  }
  return page.locator('#entries > li').evaluateAll((entries) => entries.map((entry) => ({
    kind: ['wx', 'http', 'wechat', 'push', 'note'].find((kind) => entry.classList.contains(kind)) || 'error',
    label: entry.querySelector('.label')?.textContent || entry.textContent,
    status: entry.querySelector('.status')?.textContent,
    text: entry.textContent,
    advice: entry.querySelector('.advice')?.textContent,
    failed: entry.classList.contains('failed'),
  })));
}

/** conversation returns the log's exchanges of one kind in short: 'POST /onLogin 200'. */
function conversation(entries, kind = 'http') {
  return entries.filter((entry) => entry.kind === kind).map(({ label, status }) => `${label} ${status}`);
}

const logins = (entries) => conversation(entries, 'wx').filter((line) => line === 'wx.login() 200').length;

/** holdsToken reports whether the mini-program that is seen has a token in its storage. */
function holdsToken(page) {
  return page.evaluate((appIds) => {
    const appId = appIds[document.querySelector('[data-app][aria-pressed=true]').dataset.app];
    return Boolean(JSON.parse(sessionStorage.getItem(`phone/${sessionStorage.getItem('person')}/${appId}/wxlogin`))?.token);
  }, APP_IDS);
}

/** column waits until MySQL holds this value in a column. */
async function column(page, name, value) {
  await page.locator('#mysql dl > div').filter({ has: page.getByText(name, { exact: true }) })
    .locator('dd').getByText(value).waitFor();
}

module.exports = {
  APP_IDS, A_PHONE, LAPTOP, NAME, PHONE, address, answer, bindPhone, button, choose, closeBrowser, column, conversation, ended,
  fault, fillIn, greets, holdsToken, logged, logins, open, openTab, personOf, phone, picture, play, reads, save, tap, visit,
};
