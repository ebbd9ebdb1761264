// What viewers do with the page, and what they see of it.

const NAME = 'Lin 林';
const FAULTS = ['newkey', 'expire', 'codetwice', 'busy', 'secondapp']; // in the order of their buttons

const phone = (page) => page.locator('#screen');
const phoneButton = (page, text) => phone(page).getByRole('button', { name: text, exact: true });
const fault = (page, kind) => page.locator(`[data-fault=${kind}]`);

/** tap presses a button on the phone. */
async function tap(page, text) {
  await phoneButton(page, text).click();
}

/** reads waits until a text can be read on the phone. */
async function reads(page, text) {
  await phone(page).getByText(text, { exact: true }).first().waitFor();
}

/** greets waits for the mini-program's first page, which greets by name. */
async function greets(page, name) {
  await reads(page, `你好，${name}`);
}

/** chooseAvatar chooses the picture that WeChat has, and waits until the form shows it. */
async function chooseAvatar(page) {
  await tap(page, '选择头像');
  await tap(page, '用微信头像');
  await phone(page).locator('.small').waitFor();
}

/** fillIn fills in the profile, as WeChat of today has people do it. It begins and ends on the first page. */
async function fillIn(page, name = NAME) {
  await tap(page, '我的资料');
  await chooseAvatar(page);
  await page.getByPlaceholder('请输入昵称').fill(name);
  await tap(page, '保存');
  await reads(page, '资料已完整');
  await tap(page, '返回');
  await greets(page, name);
}

/** arrive waits for the login, and fills in the profile. */
async function arrive(page) {
  await greets(page, '新朋友');
  await fillIn(page);
}

/** play presses a fault button and waits until the page says how it ended. */
async function play(page, kind) {
  await fault(page, kind).click();
  return ended(page);
}

/** ended waits for the end of what is being played, and gives what the page tells of it. */
async function ended(page) {
  await page.locator('#story .end').waitFor();
  await page.locator('[data-fault][aria-disabled]').first().waitFor({ state: 'detached' });
  return {
    sentences: await page.locator('#story li').allInnerTexts(),
    end: await page.locator('#story .end').innerText(),
    well: await page.locator('#story .end.bad').count() === 0,
  };
}

/** holdFault keeps the next fault from coming about until what it returns is called. */
async function holdFault(page) {
  let goOn;
  const told = new Promise((resolve) => { goOn = resolve; });
  await page.route('**/faults/*', async (route) => {
    await told;
    await route.continue();
  });
  return goOn;
}

/** playHeld presses a fault button as the first thing of all, and gives what lets the fault go on from there. */
async function playHeld(page, kind) {
  const goOn = await holdFault(page);
  await greets(page, '新朋友');
  await fault(page, kind).click();
  await page.locator('#story').getByText('Under way…').waitFor();
  return goOn;
}

/** choose has the page speak a language: en or zh. */
async function choose(page, language) {
  await page.locator(`[data-language=${language}]`).click();
  await page.locator(`[data-language=${language}][aria-pressed=true]`).waitFor();
  await page.locator(`html[lang=${language === 'zh' ? 'zh-CN' : language}]`).waitFor();
}

/** logged gives the entries of the log. */
function logged(page) {
  return page.locator('#entries > li').evaluateAll((entries) => entries.map((entry) => ({
    kind: ['wx', 'http', 'wechat', 'note', 'error'].find((kind) => entry.classList.contains(kind)),
    type: entry.classList.contains('request') ? 'request' : 'answer',
    label: entry.querySelector('.label')?.textContent || entry.textContent,
    text: entry.textContent,
    advice: [...entry.querySelectorAll('.advice')].map((advice) => advice.textContent),
    failed: entry.classList.contains('failed'),
  })));
}

/** afterNote gives what the log has after its last note, which begins it. */
function afterNote(entries) {
  return entries.slice(entries.map(({ kind }) => kind).lastIndexOf('note'));
}

/** conversation is the log's exchanges of one kind in short: 'POST /onLogin 200'. */
function conversation(entries, kind = 'http') {
  const lines = [];
  for (const { type, label } of entries.filter((entry) => entry.kind === kind)) {
    if (type === 'request') lines.push(label);
    else lines[lines.length - 1] += ' ' + label.split(' ')[0];
  }
  return lines;
}

/** holdsToken tells whether the mini-program that is seen has a token in its storage. */
function holdsToken(page) {
  return page.evaluate(() => {
    const appId = ['wx000000000000demo', 'wx000000000001demo'][
      document.querySelector('[data-app][aria-pressed=true]').dataset.app];
    const key = `phone/${sessionStorage.getItem('person')}/${appId}/wxlogin`;
    return Boolean(JSON.parse(sessionStorage.getItem(key))?.token);
  });
}

const personOf = (page) => page.evaluate(() => sessionStorage.getItem('person'));

/** column waits until MySQL holds this value in a column. */
async function column(page, name, value) {
  await page.locator('#mysql dl > div').filter({ has: page.getByText(name, { exact: true }) })
    .locator('dd').getByText(value).waitFor();
}

module.exports = {
  NAME, FAULTS, phone, phoneButton, fault, tap, reads, greets, chooseAvatar, fillIn, arrive, play, ended, holdFault, playHeld,
  choose, logged, afterNote, conversation, holdsToken, personOf, column,
};
