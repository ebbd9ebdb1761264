// What goes wrong: that the phone gets over it, or says what the person can do, and that the log and the story say why.

const assert = require('node:assert/strict');
const test = require('node:test');
const {
  APP_IDS, A_PHONE, NAME, bindPhone, choose, column, conversation, ended, fault, fillIn, greets, holdsToken, logged, logins, play, reads, tap, visit,
} = require('../harness.js');
const { assertAccess, assertBothLanguages } = require('../states.js');

const LOGIN = 'POST /onLogin 200';
const RECOVERED = ['newkey', 'expire', 'codetwice', 'busy', 'secondapp', 'awayredis', 'awaymysql'];
const TWICE = ['newkey', 'expire', 'codetwice', 'secondapp'];
const WELL = `The phone is logged in, with the profile of ${NAME}.`;
const EMPTY = 'The phone is logged in. The profile is still empty.';
const ADVICE = { relogin: /^action relogin: .*once/, retry: /^action retry: .*waits \d+ s.*once/, none: /^action none:/ };
const AWAY = {
  wire: ['GET /userInfo 503', 'GET /userInfo 200'], refusal: ['storage_unavailable', 'retry'],
  story: [/503 storage_unavailable/, /GET \/userInfo was sent again: 200/],
};

// What must be in the log from its note on: all that phone and server say to each other, the refusal with its code and
// action, and what the client does then, if it is not the usual for this action.
const faults = {
  newkey: {
    note: 'WeChat replaced the session_key.',
    wire: ['POST /updateUserInfo 422', LOGIN, 'POST /updateUserInfo 200'], refusal: ['undecryptable', 'relogin'],
    story: [/422 undecryptable/, /logged in again, once: token \d+/, /POST \/updateUserInfo was sent again with new data: 200/],
  },
  expire: {
    note: 'All sessions of this person ended in Redis.',
    wire: ['GET /userInfo 401', LOGIN, 'GET /userInfo 200'], refusal: ['invalid_token', 'relogin'],
    story: [/401 invalid_token/, /logged in again, once: token \d+/, /GET \/userInfo was sent again: 200/],
  },
  codetwice: {
    note: 'The next login will be sent twice.',
    wire: ['POST /onLogin lost', 'POST /onLogin 400', LOGIN],
    refusal: ['invalid_code', 'relogin'], advice: /^action relogin: .*new code.*once/,
    story: [/went out twice with code \d+/, /400 invalid_code/, /asked again, once, with a new code.*: token \d+/],
  },
  busy: {
    note: 'WeChat will return -1 three times.',
    wire: ['POST /onLogin 503', LOGIN], refusal: ['wechat_unavailable', 'retry'],
    story: [/asked WeChat 3 times.* -1/, /503 wechat_unavailable/, /asked again, once, with a new code.*: token \d+/],
  },
  secondapp: {
    note: 'The second mini-program was opened, with empty storage.',
    wire: [LOGIN], story: [/logged in: token \d+/, /openid \d+ and unionid \d+.* the same user/],
  },
  awayredis: { note: 'The connection to Redis was cut.', ...AWAY },
  awaymysql: { note: 'The connection to MySQL was cut.', ...AWAY },
  refuse: {
    note: 'The person pressed “Deny” in both dialogs.', wire: [], story: [/“refused” and sent nothing: getUserInfo:fail/],
  },
  block: {
    note: 'An admin blocked the user in MySQL.',
    wire: ['GET /userInfo 403'], refusal: ['user_blocked', 'none'], story: [/403 user_blocked/],
  },
  limit: {
    note: 'Other devices of this network used up its logins of this minute.', wire: ['POST /onLogin 429'],
    refusal: ['rate_limited', 'retry'], advice: /^action retry: 60 s is longer/, story: [/429 rate_limited/],
  },
  withdraw: {
    note: 'The person withdrew the consent to nickname, avatar and phone number in WeChat’s settings.', wire: ['GET /userInfo 200'],
    story: [/pushed user_authorization_revoke .*signed and encrypted.* 200/, /phone_bound is no.*empty profile/],
  },
};

// assertTold checks what log and story say of a fault. The phone asks WeChat for a new code before each login, but a login
// that was sent twice has one code.
async function assertTold(page, kind, told) {
  assert.ok(told.well, told.end);
  const { note, wire, refusal = [], advice = ADVICE[refusal[1]], story } = faults[kind];
  const all = await logged(page, { unfold: true });
  const entries = all.slice(all.findLastIndex((entry) => entry.kind === 'note' && entry.text === note));
  assert.equal(entries[0].text, note);
  assert.deepEqual(conversation(entries), wire);
  assert.equal(logins(entries), wire.filter((line) => /^POST \/onLogin \d/.test(line)).length);
  const refused = entries.filter((entry) => entry.kind === 'http' && entry.failed);
  assert.equal(refused.length, refusal.length ? 1 : 0);
  for (const entry of refused) {
    for (const field of refusal) assert.ok(entry.text.includes(`"${field}"`), `${field} is not in ${entry.text}`);
    assert.match(entry.advice, advice);
  }
  for (const pattern of story) assert.ok(told.sentences.some((sentence) => pattern.test(sentence)), `${pattern} is not told`);
  assert.ok(!told.sentences.includes('No response was an error.'));
}

// assertRecovered checks that the phone got over a fault: name is the profile's, '' if there is none.
async function assertRecovered(page, kind, told, { name, greeting = name }) {
  await assertTold(page, kind, told);
  assert.equal(told.end, name ? `The phone is logged in, with the profile of ${name}.` : EMPTY);
  assert.ok(await holdsToken(page), 'there is no token in the storage');
  await reads(page, new RegExp(greeting));
}

// inSight reports whether the refused request can be seen in the log.
function inSight(page) {
  return page.locator('#log').evaluate((log) => {
    const { top, bottom } = log.getBoundingClientRect();
    const refused = [...log.querySelectorAll('.http.failed')].pop()?.getBoundingClientRect();
    return refused && refused.top >= top && refused.bottom <= bottom;
  });
}

test('every fault in turn is recovered from, for everybody and in both languages, with the refused request in sight', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  await assertBothLanguages(page);
  for (const kind of RECOVERED) {
    const told = await play(page, kind);
    assert.ok(!faults[kind].refusal || await inSight(page), `${kind}: the refused request is out of sight`);
    await assertRecovered(page, kind, told, { name: NAME });
    await assertBothLanguages(page);
    await assertAccess(page, kind, ['phone', 'network']);
    await page.locator('#clear').click(); // axe-core takes long for many entries
    if (TWICE.includes(kind)) await assertRecovered(page, kind, await play(page, kind), { name: NAME });
  }
});

test('every fault as the first thing of all, with WeChat of today and from before 2021', async (t) => {
  const { page } = await visit(t, { opened: false });
  for (const kind of RECOVERED) {
    for (const release of ['today', 'before']) {
      await page.evaluate((name) => {
        sessionStorage.clear();
        sessionStorage.setItem('release', name);
      }, release);
      await page.reload();
      const told = await play(page, kind);
      const { nickName } = await page.evaluate(async () => (
        (await fetch(`/phones/${sessionStorage.getItem('person')}/state`)).json()));
      const name = kind === 'newkey' && release === 'before' ? nickName : ''; // no other asks for the profile
      await assertRecovered(page, kind, told, { name, greeting: name || (kind === 'newkey' ? 'No nickname yet' : 'new friend') });
    }
  }
});

test('a person who refuses, is blocked or comes too often: the phone says what can be done, and there is a way back', async (t) => {
  const { page } = await visit(t);
  const other = await visit(t, A_PHONE);
  await fillIn(page);
  for (const [kind, sentence, status] of [
    ['refuse', /^You did not allow it/, 'active'], ['block', /^Your account cannot be used/, 'disabled'],
    ['limit', /^Too many attempts.* 60 s/, 'active'],
  ]) {
    const told = await play(page, kind);
    await assertTold(page, kind, told);
    await reads(page, sentence);
    await page.locator('#mysql').getByText(status).waitFor();
    await assertBothLanguages(page);
    await assertAccess(page, kind, ['phone', 'network']);
    await page.locator('#clear').click();
    if (kind === 'refuse') { // and everything stays as it was
      assert.equal(told.end, WELL);
      await tap(page, 'back');
      continue;
    }
    assert.equal((await play(other.page, 'codetwice')).end, EMPTY, 'another phone');
    await page.locator('[data-remedy]').click();
    await greets(page, NAME);
    assert.equal((await ended(page)).end, WELL);
    await play(page, kind);
    await page.reload();
    await assertRecovered(page, 'expire', await play(page, 'expire'), { name: NAME }); // which applies the remedy itself
  }
});

test('a consent that is withdrawn empties the profile, in any mini-program, and the person may give everything again', async (t) => {
  const { page } = await visit(t);
  await assertWithdrawn(page, 0); // without anything to withdraw
  for (const index of [0, 1]) {
    await page.locator(`[data-app="${index}"]`).click();
    await greets(page, 'new friend');
    await fillIn(page);
    await bindPhone(page);
    await column(page, 'phone_bound', 'yes');
    await assertWithdrawn(page, index);
    await assertBothLanguages(page);
    await assertAccess(page, 'withdraw', ['phone', 'network', 'storage']);
    await page.locator('#clear').click();
  }
});

async function assertWithdrawn(page, index) {
  const told = await play(page, 'withdraw');
  await assertTold(page, 'withdraw', told);
  assert.equal(told.end, 'The phone stays logged in. The person may enter a profile again.');
  const entries = await logged(page, { unfold: true });
  const pushed = entries.findLast(({ kind }) => kind === 'push'); // WeChat repeats it if the server is too busy
  assert.deepEqual([pushed.kind, pushed.label, pushed.status], ['push', `POST /wechatPush/${APP_IDS[index]}`, '200']);
  for (const part of ['"Event":"user_authorization_revoke"', '"RevokeInfo":"6,8"', 'msg_signature']) {
    assert.ok(pushed.text.includes(part), `${part} is not in ${pushed.text}`);
  }
  await greets(page, 'new friend');
  await column(page, 'nickname', "''");
  await column(page, 'avatar_url', "''");
  await column(page, 'phone_bound', 'no');
  await column(page, 'status', 'active');
}

test('a fault at once, while the first login is still under way', async (t) => {
  const slowly = async (route) => { setTimeout(() => route.continue(), 500); };
  const { page } = await visit(t, { opened: false, watch: (opening) => opening.route('**/onLogin', slowly) });
  await page.locator('#next').click();
  await assertRecovered(page, 'expire', await play(page, 'expire'), { name: '', greeting: 'new friend' });
});

test('while a fault is played nothing else can be begun; it closes the dialog that is open, and keeps the focus', async (t) => {
  const { page } = await visit(t);
  await fillIn(page);
  await page.locator('.people summary').click();
  const before = (await logged(page)).length;
  const goOn = await holdFault(page, 'expire');
  for (const other of ['[data-fault=newkey]', '[data-fault=expire]', '#fresh', '#another', '[data-app="1"]', '#next', '#release input[value=before]']) {
    assert.equal(await page.locator(other).getAttribute('aria-disabled'), 'true', other);
    await page.locator(other).click({ force: true });
  }
  await assertAccess(page, 'under way');
  for (const [language, words] of [['zh', '正在进行…'], ['en', 'In progress…']]) {
    await choose(page, language);
    await page.locator('#story').getByText(words).waitFor();
  }
  goOn();
  await assertRecovered(page, 'expire', await ended(page), { name: NAME });
  const live = await page.locator('[aria-live], [role=status], [role=alert], [role=log]').evaluateAll((elements) => (
    elements.filter((element) => !element.closest('#screen')).map(({ id }) => id)));
  assert.deepEqual(live.sort(), ['copied', 'gone', 'story'], 'a screen reader hears what happened, not every line');
  const notes = (await logged(page)).slice(before).filter(({ kind }) => kind === 'note');
  assert.equal(notes.length, 1);
  assert.ok(await page.locator('#release input[value=today]').isChecked());
  assert.equal(await page.locator('[data-app="0"]').getAttribute('aria-pressed'), 'true');

  await tap(page, 'profile');
  await tap(page, 'phone');
  await page.getByRole('dialog').waitFor();
  await fault(page, 'newkey').focus();
  await page.keyboard.press('Enter');
  await assertRecovered(page, 'newkey', await ended(page), { name: NAME });
  assert.equal(await page.getByRole('dialog').count(), 0);
  assert.ok(await fault(page, 'newkey').evaluate((button) => button === document.activeElement));
});

// holdFault keeps the next fault from being caused until the returned function is called.
async function holdFault(page, kind) {
  let goOn;
  const told = new Promise((resolve) => { goOn = resolve; });
  await page.route('**/faults/*', async (route) => {
    await told;
    await route.continue();
  });
  await fault(page, kind).click();
  await page.locator('#story').getByText('In progress…').waitFor();
  return goOn;
}

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
