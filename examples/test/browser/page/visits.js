// Coming back, somebody else's phone, and a demo that goes away.

const assert = require('node:assert/strict');
const net = require('node:net');
const test = require('node:test');
const { address, visit } = require('../browser.js');
const { NAME, arrive, choose, column, conversation, greets, holdsToken, logged, personOf, play, tap } = require('../viewer.js');

// login counts how often the phone has asked WeChat for a code.
const logins = (entries) => conversation(entries, 'wx').filter((line) => line.startsWith('wx.login()')).length;

test('a reload keeps the person and the login', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  const person = await personOf(page);
  const before = await logged(page);
  await page.reload();
  await greets(page, NAME);
  assert.equal(await personOf(page), person);
  assert.ok(await holdsToken(page));
  await page.locator('#entries > li').nth(before.length + 1).waitFor();
  const after = await logged(page);
  assert.deepEqual(after.slice(0, before.length), before, 'the log is told again');
  assert.equal(logins(after), logins(before));
  assert.equal(conversation(after).pop(), 'GET /userInfo 200');
});

test('a fresh phone of the same person logs in again and finds the profile', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  const person = await personOf(page);
  const before = logins(await logged(page));
  await page.locator('#fresh').click();
  await greets(page, NAME);
  assert.equal(await personOf(page), person);
  assert.equal(logins(await logged(page)), before + 1);
  await page.locator('#redis').getByText(/^sorted set, sessions: 2/).waitFor();
});

test('another person is unknown, and has a log of their own', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  await play(page, 'expire');
  const person = await personOf(page);
  await page.locator('#another').click();
  await greets(page, '新朋友');
  await column(page, 'profile_complete', 'no');
  assert.notEqual(await personOf(page), person);
  assert.deepEqual(conversation(await logged(page)), ['POST /onLogin 200']);
  assert.equal(await page.locator('#story .end').count(), 0, 'what happened was somebody else\'s');
});

test('both mini-programs are on the phone, each with a login and a page of its own', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  await tap(page, '我的资料');
  await page.locator('[data-app="1"]').click();
  await greets(page, NAME);
  assert.ok(await holdsToken(page));
  const before = logins(await logged(page));
  await page.locator('[data-app="0"]').click();
  await page.locator('#screen').getByText('资料已完整').waitFor();
  assert.equal(logins(await logged(page)), before);
});

test('a demo that goes away is told of, and found again when it is back', async (t) => {
  const line = await lineTo(t, new URL(address).port);
  const { page } = await visit(t, { at: line.url, allowed: /net::ERR_|Failed to load resource/ });
  await arrive(page);
  const gone = page.locator('#gone');
  assert.equal(await gone.innerText(), '');
  line.cut();
  await gone.getByText('The demo does not answer').waitFor();
  await choose(page, 'zh');
  await gone.getByText('演示程序没有应答').waitFor();
  await choose(page, 'en');
  const told = await play(page, 'expire');
  assert.match(told.end, /^It could not be played: /);
  assert.ok(!told.well);
  await line.join();
  await gone.getByText('The demo').waitFor({ state: 'detached' });
  const entries = await logged(page);
  assert.equal(entries.filter(({ label }) => label === 'wx.login()').length, 1, 'the log is not told twice');
  assert.equal((await play(page, 'expire')).end, `The phone is logged in, with the profile of ${NAME}.`);
});

// lineTo is a way to the demo that can be cut, and joined again.
async function lineTo(t, port) {
  const sockets = new Set();
  const listener = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => { sockets.delete(one); other.destroy(); });
      one.pipe(other);
    }
  });
  const listen = (at) => new Promise((listening) => { listener.listen(at, '127.0.0.1', listening); });
  await listen(0);
  const { port: own } = listener.address();
  function cut() {
    listener.close();
    for (const socket of sockets) socket.destroy();
  }
  t.after(cut);
  return { url: `http://127.0.0.1:${own}`, cut, join: () => listen(own) };
}
