// The log of the network: how it is read, its commands, that it holds secrets only if they are shown, and what the page
// transfers.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { createDecipheriv, createHash } = require('node:crypto');
const test = require('node:test');
const { promisify } = require('node:util');
const {
  APP_IDS, address, answer, choose, conversation, fillIn, greets, logged, open, personOf, phone, play, reads, tap, visit,
} = require('../harness.js');

const simulator = process.env.WXLOGIN_SIMULATOR;
assert.ok(simulator, 'set WXLOGIN_SIMULATOR to the address that the demo prints');

const LEAST = 10e3; // bytes: less cannot have been counted right
const MOST = 100e3;
const SECRET_FIELDS = ['token', 'encryptedData', 'iv', 'signature', 'data'];

test('the log begins at its first entry, and follows what is done on the phone unless someone scrolls up', async (t) => {
  const { page } = await visit(t, { viewport: { width: 1280, height: 620 } });
  await fillIn(page);
  await play(page, 'codetwice');
  await page.reload();
  await greets(page, 'Lin 林');
  const top = () => page.locator('#log').evaluate((log) => log.scrollTop);
  assert.equal(await top(), 0, 'the first entry is out of sight');
  assert.equal(conversation(await logged(page), 'wx')[0], 'wx.login() 200');

  const gapBelow = () => page.locator('#log').evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop);
  await tap(page, 'refresh');
  await reads(page, 'Refreshed');
  assert.ok(await top() > 0 && await gapBelow() < 2, 'the end is out of sight');
  await choose(page, 'zh');
  assert.ok(await gapBelow() < 2);
  await page.locator('#log').evaluate((log) => { log.scrollTop = 0; });
  await page.locator('[data-fault=expire]').focus();
  await page.evaluate(() => fetch(`/phones/${sessionStorage.getItem('person')}/faults/expire`, { method: 'POST' }));
  await page.locator('#entries').getByText('会话全部失效').waitFor();
  assert.equal(await top(), 0);
});

test('the page is under 100 KB until it is logged in; a line unfolds to JSON, names secrets, and can be cleared', async (t) => {
  const { page, requests } = await visit(t, { timezoneId: 'UTC' }); // no other test has this context: its cache is empty
  await page.locator('#mysql dl').waitFor();
  await page.locator('#redis').getByText('SHA-256 of token 1').waitFor();
  await assertSmall(t, requests);
  const document = requests.find((request) => request.resourceType() === 'document');
  const policy = (await document.response()).headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe/);
  const inline = 'script:not([src]), style, [onclick], [onload], [onerror], a[href^="javascript:"]';
  assert.equal(await page.locator(inline).count(), 0);

  const bars = await page.locator('#entries > li').evaluateAll((entries) => entries.map((entry) => (
    [...entry.querySelectorAll('.secret')].map((bar) => bar.textContent))));
  assert.deepEqual(bars, [['code 1'], ['code 1', 'token 1'], ['code 1', 'openid 1', 'session_key 1']]);
  const summaries = page.locator('#entries summary');
  for (const { height } of await Promise.all((await summaries.all()).map((one) => one.boundingBox()))) assert.ok(height < 36);
  await summaries.nth(1).click();
  const unfolded = page.locator('#entries .unfolded');
  for (const field of [/"isNewUser": true/, /"profileComplete": false/]) assert.match(await unfolded.innerText(), field);
  const lines = (await unfolded.locator('pre').nth(1).innerText()).split('\n');
  assert.equal(lines.filter((line) => /": (""|null)/.test(line) && !line.includes('{"')).length, 1, 'empty fields share a line');

  await page.locator('#clear').click();
  assert.deepEqual(await logged(page), []);
  await page.locator('#log').getByText('Every request appears here').waitFor();
  await tap(page, 'refresh');
  await page.locator('#entries > li').getByText('200').waitFor();
  assert.deepEqual(conversation(await logged(page)), ['GET /userInfo 200']);
  assert.ok(await page.locator('#nothing').isHidden());
});

async function assertSmall(t, requests) {
  const paths = requests.map((request) => new URL(request.url()).pathname);
  for (const part of ['/', '/assets/page.css', '/assets/words.json', '/bundle.js']) assert.ok(paths.includes(part), part);
  const counted = requests.filter((request) => !request.url().endsWith('/events'));
  const sizes = await Promise.all(counted.map(async (request) => (await request.sizes()).responseBodySize));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes > LEAST && bytes < MOST, `${bytes} bytes`);
  t.diagnostic(`${bytes} bytes in ${counted.length} responses`);
}

test('copied commands work, and get the response that they name', async (t) => {
  const { page, context } = await visit(t);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await fillIn(page);
  await tap(page, 'profile');
  await tap(page, 'phone');
  await answer(page, true);
  await reads(page, /^Phone number/);
  await play(page, 'codetwice');
  await page.locator('[data-app="0"]').click(); // the story, and with it what follows, is over
  const entries = await logged(page, { unfold: true });
  const tried = new Map(entries.map(({ label, status }, i) => [`${label} ${status}`, i]));
  for (const [name, i] of tried) {
    if (!/^(GET|POST|wx\.login)/.test(name) || name.endsWith('lost')) continue;
    const button = page.locator('#entries > li').nth(i).getByRole('button', { name: 'Copy as curl' });
    await button.click();
    await page.locator('#entries > li').nth(i).getByText('Copied').waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    const [, label, status] = /^# (.+): the response was (\d+)/.exec(command);
    assert.equal(`${label} ${status}`, name);
    const { stdout } = await promisify(execFile)('sh', ['-c', command]);
    const got = JSON.parse(stdout);
    if (got.status) assert.equal(got.status, Number(status), name);
    else assert.ok(got.code || got.openid || got.access_token || got.phone_info, `${name}: ${Object.keys(got)}`);
    if (name === 'POST /onLogin 200') assert.equal(got.token.length, 43);
  }
  for (const name of ['wx.login() 200', 'POST /onLogin 200', 'POST /onLogin 400', 'GET /userInfo 200', 'POST /uploadAvatar 200',
    'GET /sns/jscode2session 200']) assert.ok(tried.has(name), name);
});

// createSecrets collects every secret with its kind.
function createSecrets() {
  const kinds = new Map();

  function add(kind, value) {
    assert.ok(typeof value === 'string' && value.length >= 8, `a ${kind} that is none`);
    kinds.set(value, kind);
  }

  // collect takes those of a response that the phone gets.
  async function collect(response) {
    const { pathname } = new URL(response.url());
    const [, from, call] = /^\/phones\/[^/]+\/(wechat|server)\/(?:sim\/)?(\w+)$/.exec(pathname) || [];
    if (!from) return;
    const body = await response.json();
    for (const name of SECRET_FIELDS.filter((field) => body[field])) add(name, body[name]);
    if (from === 'wechat' && body.code) add(call === 'phonecode' ? 'phone code' : 'code', body.code);
    if (body.token) add('hash of a token', createHash('sha256').update(body.token).digest('base64url'));
  }

  // collectAccount takes what WeChat knows of a person, and what only the mini-program's server may open.
  async function collectAccount(appid, user) {
    const account = await ask('GET', 'account', { appid, user });
    const { encryptedData, iv } = await ask('POST', 'userinfo', { appid, user, kind: 'anonymous' });
    const [key, start] = [account.sessionKey, iv].map((text) => Buffer.from(text, 'base64'));
    const decipher = createDecipheriv('aes-128-cbc', key, start);
    const opened = JSON.parse(decipher.update(encryptedData, 'base64', 'utf8') + decipher.final('utf8'));
    assert.ok(opened.openId === account.openid, 'the data are not this person’s');
    add('session_key', account.sessionKey);
    add('openid', account.openid);
    add('unionid', opened.unionId);
    add('phone number', account.phoneNumber);
  }

  return {
    collect,
    collectAccount,
    kinds: () => [...new Set(kinds.values())].sort(),
    // foundIn returns the kinds of the secrets that a text holds, as they are or as they are sent in a form.
    foundIn: (text) => [...new Set([...kinds.keys()].filter((secret) => (
      text.includes(secret) || text.includes(encodeURIComponent(secret)))).map((secret) => kinds.get(secret)))].sort(),
  };
}

async function ask(method, call, params) {
  const res = await fetch(`${simulator}/sim/${call}?${new URLSearchParams(params)}`, { method });
  assert.equal(res.status, 200, call);
  return res.json();
}

// everything returns the document as it is: its texts, its attributes and what is in its inputs.
async function everything(page) {
  await logged(page, { unfold: true });
  return page.evaluate(() => [
    document.documentElement.outerHTML, document.body.innerText, document.title,
    ...[...document.querySelectorAll('input')].map(({ value }) => value),
  ].join('\n'));
}

// eventsOf reads the stream of events as the page does, to a note that it causes.
async function eventsOf(person, query) {
  await fetch(`${address}/phones/${person}/faults/refuse`, { method: 'POST' });
  const aborter = new AbortController();
  const res = await fetch(`${address}/phones/${person}/events${query}`, { signal: aborter.signal });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of res.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes('"note":"refuse"')) break;
  }
  aborter.abort();
  return text;
}

test('no secret is in the page, its events or its state, unless they are shown', async (t) => {
  const secrets = createSecrets();
  const responses = [];
  const { page } = await visit(t, {
    opened: false,
    watch: (opening) => opening.on('response', (response) => { responses.push(secrets.collect(response)); }),
  });
  await open(page);
  const seen = [];
  const look = async () => { seen.push(await everything(page)); };
  await fillIn(page);
  const person = await personOf(page);
  for (const appid of APP_IDS) await secrets.collectAccount(appid, person);
  await tap(page, 'profile');
  await tap(page, 'phone');
  await look();
  await answer(page, true);
  await phone(page).getByText(/^Phone number /).waitFor();
  for (const kind of ['newkey', 'expire', 'codetwice', 'secondapp', 'withdraw']) {
    await play(page, kind);
    await look();
  }
  for (const appid of APP_IDS) await secrets.collectAccount(appid, person); // newkey replaced the session_key
  await choose(page, 'zh');
  await look();
  await Promise.all(responses);

  assert.deepEqual(secrets.kinds(), [
    'code', 'data', 'encryptedData', 'hash of a token', 'iv', 'openid', 'phone code', 'phone number', 'session_key',
    'signature', 'token', 'unionid',
  ]);
  for (const text of seen) assert.deepEqual(secrets.foundIn(text), [], 'the document');
  const stateOf = async (query) => (await fetch(`${address}/phones/${person}/state${query}`)).text();
  assert.match(await stateOf(''), /openid 1/);
  assert.deepEqual(secrets.foundIn(await stateOf('')), [], 'the state');
  const events = await eventsOf(person, '');
  assert.ok(events.includes('token 1'));
  assert.deepEqual(secrets.foundIn(events), [], 'the events');

  await page.locator('#secrets').check();
  await page.locator('#redis').getByText(/session:[\w-]{43}/).first().waitFor();
  const shown = secrets.foundIn(await everything(page));
  for (const kind of ['code', 'hash of a token', 'openid', 'session_key', 'token', 'unionid']) assert.ok(shown.includes(kind), kind);
  await page.locator('#secrets').uncheck();
  await page.locator('#redis').getByText('SHA-256 of token').first().waitFor();
  await page.locator('#entries > li').nth(5).waitFor();
  assert.deepEqual(secrets.foundIn(await everything(page)), [], 'the document, when secrets are hidden again');
});
