// What goes wrong, and that the phone ends logged in with the profile, and that the log shows why.

const assert = require('node:assert/strict');
const test = require('node:test');
const { visit } = require('../browser.js');
const { picture } = require('../pictures.js');
const {
  FAULTS, NAME, arrive, afterNote, conversation, ended, fault, greets, holdFault, holdsToken, logged, phone, play,
  tap,
} = require('../viewer.js');

const LOGIN = 'POST /onLogin 200';

const SHOWN = 'codetwice'; // in the README

// What must be in the log, from its note on: all that the phone and the server say to each other, how often the phone
// asks WeChat for a code, the refusal with its code and its advice.
const faults = {
  newkey: {
    note: 'WeChat replaced the session_key.',
    wire: ['POST /updateUserInfo 422', LOGIN, 'POST /updateUserInfo 200'], codes: 1,
    refusal: ['code undecryptable', 'action relogin'], advice: /^relogin: .*once/,
    story: [
      /422 undecryptable/, /logged in again, once: token \d+/,
      /POST \/updateUserInfo was sent again with new data: 200/,
    ],
  },
  expire: {
    note: 'All sessions of this person ended in Redis.',
    wire: ['GET /userInfo 401', LOGIN, 'GET /userInfo 200'], codes: 1,
    refusal: ['code invalid_token', 'action relogin'], advice: /^relogin: .*once/,
    story: [/401 invalid_token/, /logged in again, once: token \d+/, /GET \/userInfo was sent again: 200/],
  },
  codetwice: {
    note: 'A proxy was set to send the next login twice.',
    wire: [LOGIN, 'POST /onLogin 400', LOGIN], codes: 2,
    refusal: ['code invalid_code', 'action relogin'], advice: /^relogin: .*new code.*once/,
    story: [/went out twice with code \d+/, /400 invalid_code/, /asked again, once, with a new code.*: token \d+/],
  },
  busy: {
    note: 'WeChat was set to answer -1 for a while.',
    wire: ['POST /onLogin 503', LOGIN], codes: 2,
    refusal: ['code wechat_unavailable', 'action retry'], advice: /^retry: .*waits \d+ s.*once/,
    story: [
      /-1, each time that the server asked: 3 times/, /503 wechat_unavailable/,
      /asked again, once, with a new code.*: token \d+/,
    ],
  },
  secondapp: {
    note: 'The second mini-program was opened, with empty storage.',
    wire: [LOGIN], codes: 1,
    story: [/logged in: token \d+/, /openid \d+ and unionid \d+.* the same user/],
  },
};

// assertRecovered checks what the page shows after a fault was played: name is the profile's, '' where there is none,
// and greeting what the phone shows then.
async function assertRecovered(page, kind, told, { name, greeting = name }) {
  const expected = faults[kind];
  const entries = afterNote(await logged(page));
  assert.equal(entries[0].text, expected.note);
  assert.deepEqual(conversation(entries), expected.wire);
  assert.equal(conversation(entries, 'wx').filter((line) => line === 'wx.login() 200').length, expected.codes);
  assertRefused(entries, expected);
  for (const pattern of expected.story) {
    assert.ok(told.sentences.some((sentence) => pattern.test(sentence)), `${pattern} is not told`);
  }
  assert.ok(!told.sentences.includes('No answer was an error.'));
  assert.equal(told.end, name ? `The phone is logged in, with the profile of ${name}.`
    : 'The phone is logged in. The profile is not filled in yet.');
  assert.ok(told.well);
  assert.ok(await holdsToken(page), 'there is no token in the storage');
  await phone(page).getByText(greeting).first().waitFor();
}

// assertRefused checks that the phone was refused once at most, and that the log says what helped.
function assertRefused(entries, { refusal: fields = [], advice }) {
  const refusals = entries.filter((entry) => entry.kind === 'http' && entry.failed);
  assert.equal(refusals.length, fields.length ? 1 : 0);
  for (const refusal of refusals) {
    for (const field of fields) assert.ok(refusal.text.includes(field), `${field} is not in ${refusal.text}`);
    assert.equal(refusal.advice.length, 1);
    assert.match(refusal.advice[0], advice);
  }
}

test('every fault in turn ends logged in, with the profile, and the log shows why', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  for (const kind of FAULTS) {
    if (kind === SHOWN) await page.locator('#mysql .changed').first().waitFor({ state: 'detached' });
    const told = await play(page, kind);
    await assertRecovered(page, kind, told, { name: NAME });
    await picture(page, kind);
    if (kind === SHOWN) await pictureOfRefusal(page);
  }
});

for (const kind of FAULTS) {
  test(`${kind} as the first thing of all, with WeChat of today and from before 2021`, async (t) => {
    const { page } = await visit(t);
    await greets(page, '新朋友');
    const today = await play(page, kind);
    await assertRecovered(page, kind, today, { name: '', greeting: kind === 'newkey' ? '还没有昵称' : '新朋友' });

    await beginAnew(page, 'before');
    await greets(page, '新朋友');
    const before = await play(page, kind);
    const filledIn = kind === 'newkey'; // the only one that has the mini-program ask for the profile
    const name = filledIn ? await nameAtWeChat(page) : '';
    await assertRecovered(page, kind, before, { name, greeting: name || '新朋友' });
  });
}

test('a fault at once, while the first login is still under way', async (t) => {
  const { page } = await visit(t, { watch: (opening) => opening.route('**/onLogin', slowly) });
  await fault(page, 'expire').click();
  const told = await ended(page);
  await assertRecovered(page, 'expire', told, { name: '', greeting: '新朋友' });
});

test('a fault twice in a row is recovered from twice', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  for (const kind of ['newkey', 'newkey', 'secondapp', 'secondapp', 'expire', 'expire', 'codetwice', 'codetwice']) {
    await assertRecovered(page, kind, await play(page, kind), { name: NAME });
  }
});

test('while a fault is played, nothing else can be begun', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  const before = (await logged(page)).length;
  const goOn = await holdFault(page);
  await fault(page, 'expire').click();
  const others = [
    '[data-fault=newkey]', '[data-fault=expire]', '#fresh', '#another', '[data-app="1"]', '#release input',
  ];
  for (const other of others) {
    assert.equal(await page.locator(other).first().getAttribute('aria-disabled'), 'true', other);
    await page.locator(other).first().click({ force: true });
  }
  await page.locator('#release input[value=before]').click({ force: true });
  goOn();
  await assertRecovered(page, 'expire', await ended(page), { name: NAME });
  const notes = (await logged(page)).slice(before).filter(({ kind }) => kind === 'note');
  assert.equal(notes.length, 1);
  assert.ok(await page.locator('#release input[value=today]').isChecked());
  assert.equal(await page.locator('[data-app="0"]').getAttribute('aria-pressed'), 'true');
});

test('a fault closes the dialog that is open on the phone, and keeps the focus', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  await tap(page, '我的资料');
  await tap(page, '绑定手机号');
  await page.getByRole('dialog').waitFor();
  await fault(page, 'newkey').focus();
  await page.keyboard.press('Enter');
  await assertRecovered(page, 'newkey', await ended(page), { name: '', greeting: '还没有昵称' });
  assert.equal(await page.getByRole('dialog').count(), 0);
  assert.ok(await fault(page, 'newkey').evaluate((button) => button === document.activeElement));
});

test('a fault after a logout logs in first', async (t) => {
  const { page } = await visit(t);
  await arrive(page);
  for (const kind of ['expire', 'newkey']) {
    await tap(page, '我的资料');
    await tap(page, '退出登录');
    await phone(page).getByText('您已退出登录').waitFor();
    await assertRecovered(page, kind, await play(page, kind), { name: NAME });
  }
});

// pictureOfRefusal shows the log from the refusal on.
async function pictureOfRefusal(page) {
  await page.locator('#log').evaluate((log) => {
    log.scrollTop = [...log.querySelectorAll('.http.failed')].pop().offsetTop - 8;
  });
  await picture(page, 'page');
}

// beginAnew opens the page again, as somebody else.
async function beginAnew(page, release) {
  await page.evaluate((given) => {
    sessionStorage.clear();
    sessionStorage.setItem('release', given);
  }, release);
  await page.reload();
}

// nameAtWeChat is the name that the person has there.
function nameAtWeChat(page) {
  return page.evaluate(async () => {
    const res = await fetch(`/phones/${sessionStorage.getItem('person')}/state`);
    return (await res.json()).person.nickName;
  });
}

// slowly answers only when a fault was asked for.
async function slowly(route) {
  const page = route.request().frame().page();
  await page.locator('#story').getByText('Under way…').waitFor();
  await route.continue();
  await page.unroute('**/onLogin');
}
