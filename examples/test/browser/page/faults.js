// What goes wrong: that the phone gets over it, or says what the person can do, and that the log and the story say why.

const assert = require('node:assert/strict');
const test = require('node:test');
const {
  FAULTS, NAME, answer, conversation, ended, fault, fillIn, greets, holdFault, holdsToken, logged, open, phone, picture, play, reads,
  tap, visit,
} = require('../harness.js');

const LOGIN = 'POST /onLogin 200';
const RECOVERED = ['newkey', 'expire', 'codetwice', 'busy', 'secondapp', 'awayredis', 'awaymysql'];

// What must be in the log from its note on: all that phone and server say to each other, how often the phone asks WeChat
// for a code, and the refusal with its code and advice.
const faults = {
  newkey: {
    note: 'WeChat replaced the session_key.',
    wire: ['POST /updateUserInfo 422', LOGIN, 'POST /updateUserInfo 200'], codes: 1,
    refusal: ['undecryptable', 'relogin'], advice: /^action relogin: .*once/,
    story: [/422 undecryptable/, /logged in again, once: token \d+/, /POST \/updateUserInfo was sent again with new data: 200/],
  },
  expire: {
    note: 'All sessions of this person ended in Redis.',
    wire: ['GET /userInfo 401', LOGIN, 'GET /userInfo 200'], codes: 1,
    refusal: ['invalid_token', 'relogin'], advice: /^action relogin: .*once/,
    story: [/401 invalid_token/, /logged in again, once: token \d+/, /GET \/userInfo was sent again: 200/],
  },
  codetwice: {
    note: 'The next login will be sent twice.',
    wire: ['POST /onLogin lost', 'POST /onLogin 400', LOGIN], codes: 2,
    refusal: ['invalid_code', 'relogin'], advice: /^action relogin: .*new code.*once/,
    story: [/went out twice with code \d+/, /400 invalid_code/, /asked again, once, with a new code.*: token \d+/],
  },
  busy: {
    note: 'WeChat will return -1 three times.',
    wire: ['POST /onLogin 503', LOGIN], codes: 2,
    refusal: ['wechat_unavailable', 'retry'], advice: /^action retry: .*waits \d+ s.*once/,
    story: [/asked WeChat 3 times.* -1/, /503 wechat_unavailable/, /asked again, once, with a new code.*: token \d+/],
  },
  secondapp: {
    note: 'The second mini-program was opened, with empty storage.',
    wire: [LOGIN], codes: 1,
    story: [/logged in: token \d+/, /openid \d+ and unionid \d+.* the same user/],
  },
  awayredis: {
    note: 'The connection to Redis was cut.',
    wire: ['GET /userInfo 503', 'GET /userInfo 200'], codes: 0,
    refusal: ['storage_unavailable', 'retry'], advice: /^action retry: .*waits \d+ s.*once/,
    story: [/503 storage_unavailable/, /GET \/userInfo was sent again: 200/],
  },
  awaymysql: {
    note: 'The connection to MySQL was cut.',
    wire: ['GET /userInfo 503', 'GET /userInfo 200'], codes: 0,
    refusal: ['storage_unavailable', 'retry'], advice: /^action retry: .*waits \d+ s.*once/,
    story: [/503 storage_unavailable/, /GET \/userInfo was sent again: 200/],
  },
  refuse: {
    note: 'The person pressed “Deny” in both dialogs.', wire: [], codes: 0, story: [/“refused” and sent nothing: getUserInfo:fail/],
  },
  block: {
    note: 'An admin blocked the user in MySQL.', wire: ['GET /userInfo 403'], codes: 0,
    refusal: ['user_blocked', 'none'], advice: /^action none:/, story: [/403 user_blocked/],
  },
  limit: {
    note: 'Other devices of this network used up its logins of this minute.', wire: ['POST /onLogin 429'], codes: 1,
    refusal: ['rate_limited', 'retry'], advice: /^action retry: 60 s is longer/, story: [/429 rate_limited/],
  },
};

// assertTold checks what log and story say of a fault.
async function assertTold(page, kind, told) {
  const { note, wire, codes, refusal = [], advice, story } = faults[kind];
  const all = await logged(page, { unfold: true });
  const entries = all.slice(all.findLastIndex((entry) => entry.kind === 'note' && entry.text === note));
  assert.equal(entries[0].text, note);
  assert.deepEqual(conversation(entries), wire);
  assert.equal(conversation(entries, 'wx').filter((line) => line === 'wx.login() 200').length, codes);
  const refused = entries.filter((entry) => entry.kind === 'http' && entry.failed);
  assert.equal(refused.length, refusal.length ? 1 : 0);
  for (const entry of refused) {
    for (const field of refusal) assert.ok(entry.text.includes(`"${field}"`), `${field} is not in ${entry.text}`);
    assert.match(entry.advice, advice);
  }
  for (const pattern of story) assert.ok(told.sentences.some((sentence) => pattern.test(sentence)), `${pattern} is not told`);
  assert.ok(!told.sentences.includes('No response was an error.'));
  assert.ok(told.well);
}

// assertRecovered checks that the phone got over a fault: name is the profile's, '' if there is none.
async function assertRecovered(page, kind, told, { name, greeting = name }) {
  await assertTold(page, kind, told);
  assert.equal(told.end, name ? `The phone is logged in, with the profile of ${name}.`
    : 'The phone is logged in. The profile is still empty.');
  assert.ok(await holdsToken(page), 'there is no token in the storage');
  await reads(page, new RegExp(greeting));
}

test('every fault in turn ends logged in, with the profile, and the log shows the refused request', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  for (const kind of RECOVERED) {
    const told = await play(page, kind);
    const seen = await page.locator('#log').evaluate((log) => {
      const { top, bottom } = log.getBoundingClientRect();
      const refused = [...log.querySelectorAll('.http.failed')].pop()?.getBoundingClientRect();
      return refused && refused.top >= top && refused.bottom <= bottom;
    });
    if (kind !== 'secondapp') assert.ok(seen, `${kind}: the refused request is out of sight`);
    await picture(page, kind);
    await assertRecovered(page, kind, told, { name: NAME });
    await page.locator('#clear').click();
  }
});

for (const kind of RECOVERED) {
  test(`${kind} as the first thing of all, with WeChat of today and from before 2021`, async (t) => {
    const { page } = await visit(t, { opened: false });
    const today = await play(page, kind);
    await assertRecovered(page, kind, today, { name: '', greeting: kind === 'newkey' ? 'No nickname yet' : 'new friend' });

    await page.evaluate(() => {
      sessionStorage.clear();
      sessionStorage.setItem('release', 'before');
    });
    await page.reload();
    const before = await play(page, kind);
    const { nickName } = await page.evaluate(async () => (
      (await fetch(`/phones/${sessionStorage.getItem('person')}/state`)).json()));
    const name = kind === 'newkey' ? nickName : ''; // the only one that asks for the profile
    await assertRecovered(page, kind, before, { name, greeting: name || 'new friend' });
  });
}

test('a person who refuses keeps everything as it was', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  const told = await play(page, 'refuse');
  await assertTold(page, 'refuse', told);
  await reads(page, /^You did not allow it/);
  assert.equal(told.end, `The phone is logged in, with the profile of ${NAME}.`);
});

for (const [kind, sentence, status] of [['block', /^Your account cannot be used/, 'disabled'], ['limit', /^Too many attempts.* 60 s/]]) {
  test(`${kind}: the phone says what the person can do, and there is a way back`, async (t) => {
    const { page } = await visit(t);
    const other = await visit(t);
    await fillIn(page);
    const told = await play(page, kind);
    await assertTold(page, kind, told);
    await reads(page, sentence);
    if (status) await page.locator('#mysql').getByText(status).waitFor();
    assert.equal((await play(other.page, 'codetwice')).end, 'The phone is logged in. The profile is still empty.', 'another phone');
    await page.locator('[data-remedy]').click();
    await greets(page, NAME);
    assert.equal((await ended(page)).end, `The phone is logged in, with the profile of ${NAME}.`);

    await play(page, kind);
    await page.reload();
    await assertRecovered(page, 'expire', await play(page, 'expire'), { name: NAME }); // which applies the remedy itself
  });
}

test('a fault at once, while the first login is still under way', async (t) => {
  const slowly = async (route) => { setTimeout(() => route.continue(), 500); };
  const { page } = await visit(t, { opened: false, watch: (opening) => opening.route('**/onLogin', slowly) });
  await page.locator('#next').click();
  await assertRecovered(page, 'expire', await play(page, 'expire'), { name: '', greeting: 'new friend' });
});

test('a fault twice in a row is recovered from twice', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  for (const kind of ['newkey', 'secondapp', 'expire', 'codetwice'].flatMap((one) => [one, one])) {
    await assertRecovered(page, kind, await play(page, kind), { name: NAME });
  }
});

test('while a fault is played, nothing else can be begun', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  await page.locator('.people summary').click();
  const before = (await logged(page)).length;
  const goOn = await holdFault(page, 'expire');
  for (const other of ['[data-fault=newkey]', '[data-fault=expire]', '#fresh', '#another', '[data-app="1"]', '#next', '#release input[value=before]']) {
    assert.equal(await page.locator(other).getAttribute('aria-disabled'), 'true', other);
    await page.locator(other).click({ force: true });
  }
  goOn();
  await assertRecovered(page, 'expire', await ended(page), { name: NAME });
  const notes = (await logged(page)).slice(before).filter(({ kind }) => kind === 'note');
  assert.equal(notes.length, 1);
  assert.ok(await page.locator('#release input[value=today]').isChecked());
  assert.equal(await page.locator('[data-app="0"]').getAttribute('aria-pressed'), 'true');
});

test('a fault closes the dialog that is open on the phone, and keeps the focus', async (t) => {
  const { page } = await visit(t);
  await tap(page, 'profile');
  await tap(page, 'phone');
  await page.getByRole('dialog').waitFor();
  await fault(page, 'newkey').focus();
  await page.keyboard.press('Enter');
  await assertRecovered(page, 'newkey', await ended(page), { name: '', greeting: 'No nickname yet' });
  assert.equal(await page.getByRole('dialog').count(), 0);
  assert.ok(await fault(page, 'newkey').evaluate((button) => button === document.activeElement));
});

test('a fault after a logout logs in first, and the story says so', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  for (const kind of ['expire', 'newkey', 'awayredis']) {
    await tap(page, 'profile');
    await tap(page, 'logout');
    await reads(page, 'You are logged out');
    const told = await play(page, kind);
    assert.match(told.sentences[0], /^First the client logged in: token \d+\.$/);
    await assertRecovered(page, kind, told, { name: NAME });
    if (kind === 'newkey') await tap(page, 'back');
  }
});
