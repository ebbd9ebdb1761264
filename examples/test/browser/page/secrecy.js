// Nothing secret is in the page, nor in what it reads of the wire and of the databases. Messages tell the kind of a
// secret only.

const assert = require('node:assert/strict');
const { createDecipheriv, createHash } = require('node:crypto');
const test = require('node:test');
const { address, visit } = require('../browser.js');
const { arrive, choose, logged, personOf, phone, play, tap } = require('../viewer.js');

const simulator = process.env.WXLOGIN_SIMULATOR;
assert.ok(simulator, 'set WXLOGIN_SIMULATOR to the address that the demo prints');

const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];
const SECRET_FIELDS = ['token', 'encryptedData', 'iv', 'signature', 'data'];

// createSecrets collects every secret with its kind.
function createSecrets() {
  const kinds = new Map();

  function add(kind, value) {
    assert.ok(typeof value === 'string' && value.length >= 8, `a ${kind} that is none`);
    kinds.set(value, kind);
  }

  // collect takes those of an answer that the phone gets.
  async function collect(response) {
    const { pathname } = new URL(response.url());
    const [, from, call] = /^\/phones\/[^/]+\/(wechat|server)\/(?:sim\/)?(\w+)$/.exec(pathname) || [];
    if (!from) return;
    const answer = await response.json();
    for (const name of SECRET_FIELDS.filter((field) => answer[field])) add(name, answer[name]);
    if (from === 'wechat' && answer.code) add(call === 'phonecode' ? 'phone code' : 'code', answer.code);
    if (answer.token) add('hash of a token', createHash('sha256').update(answer.token).digest('base64url'));
  }

  // collectAccount takes what WeChat knows of a person, and what only the mini-program's server may open.
  async function collectAccount(appid, user) {
    const account = await ask('GET', 'account', { appid, user });
    const { encryptedData, iv } = await ask('POST', 'userinfo', { appid, user, kind: 'anonymous' });
    const [key, start] = [account.sessionKey, iv].map((text) => Buffer.from(text, 'base64'));
    const decipher = createDecipheriv('aes-128-cbc', key, start);
    const opened = JSON.parse(decipher.update(encryptedData, 'base64', 'utf8') + decipher.final('utf8'));
    assert.ok(opened.openId === account.openid, 'the data are not this person\'s');
    add('session_key', account.sessionKey);
    add('openid', account.openid);
    add('unionid', opened.unionId);
    add('phone number', account.phoneNumber);
  }

  return {
    collect,
    collectAccount,
    kinds: () => [...new Set(kinds.values())].sort(),
    // foundIn gives the kinds of the secrets that a text holds, as they are or as they are sent in a form.
    foundIn: (text) => [...kinds.keys()].filter((secret) => (
      text.includes(secret) || text.includes(encodeURIComponent(secret)))).map((secret) => kinds.get(secret)),
  };
}

async function ask(method, call, params) {
  const res = await fetch(`${simulator}/sim/${call}?${new URLSearchParams(params)}`, { method });
  assert.equal(res.status, 200, call);
  return res.json();
}

// everything is the document as it is: its texts, its attributes and what is in its inputs.
function everything(page) {
  return page.evaluate(() => [
    document.documentElement.outerHTML, document.body.innerText, document.title,
    ...[...document.querySelectorAll('input')].map(({ value }) => value),
  ].join('\n'));
}

// eventsOf reads the stream of events as the page does, to the last one that there is.
async function eventsOf(person, last) {
  const aborter = new AbortController();
  const res = await fetch(`${address}/phones/${person}/events`, { signal: aborter.signal });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of res.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(`id: ${last}\n`) && text.endsWith('\n\n')) break;
  }
  aborter.abort();
  return text;
}

test('no secret that occurs is in the page, its events or its state', async (t) => {
  const secrets = createSecrets();
  const answers = [];
  const { page } = await visit(t, {
    watch: (opening) => opening.on('response', (response) => { answers.push(secrets.collect(response)); }),
  });
  const seen = [];
  const look = async () => { seen.push(await everything(page)); };
  await arrive(page);
  const person = await personOf(page);
  for (const appid of APP_IDS) await secrets.collectAccount(appid, person);
  await tap(page, '我的资料');
  await tap(page, '绑定手机号');
  await look();
  await tap(page, '允许');
  await phone(page).getByText(/^手机号 /).waitFor();
  for (const kind of ['newkey', 'expire', 'codetwice', 'secondapp']) {
    await play(page, kind);
    await look();
  }
  for (const appid of APP_IDS) await secrets.collectAccount(appid, person); // newkey replaced the session_key
  await choose(page, 'zh');
  await look();
  await Promise.all(answers);

  assert.deepEqual(secrets.kinds(), [
    'code', 'data', 'encryptedData', 'hash of a token', 'iv', 'openid', 'phone code', 'phone number', 'session_key',
    'signature', 'token', 'unionid',
  ]);
  for (const text of seen) assert.deepEqual(secrets.foundIn(text), [], 'the document');
  const state = await (await fetch(`${address}/phones/${person}/state`)).text();
  assert.ok(state.includes('openid 1'));
  assert.deepEqual(secrets.foundIn(state), [], 'the state');
  const events = await eventsOf(person, (await logged(page)).length);
  assert.ok(events.includes('"token 1"'));
  assert.deepEqual(secrets.foundIn(events), [], 'the events');
});
