// That everybody can use the page: axe-core finds nothing in any of its states.

const assert = require('node:assert/strict');
const test = require('node:test');
const { assertAccess } = require('../axe.js');
const { LAPTOP, PHONE, visit } = require('../browser.js');
const { FAULTS, arrive, choose, ended, greets, play, playHeld, reads, tap } = require('../viewer.js');

for (const [name, viewport] of Object.entries({ laptop: LAPTOP, phone: PHONE })) {
  test(`axe-core finds nothing in the states of the phone, on a ${name}`, async (t) => {
    const { page } = await visit(t, { viewport });
    await greets(page, '新朋友');
    await assertAccess(page, 'start');
    await tap(page, '我的资料');
    await tap(page, '同步微信资料');
    await reads(page, '微信不再直接提供头像和昵称，请您自己选择和填写');
    await assertAccess(page, 'form');
    await page.getByPlaceholder('请输入昵称').focus();
    await assertAccess(page, 'name offered');
    await tap(page, '保存');
    await reads(page, '请先选择头像或填写昵称，再保存。');
    await assertAccess(page, 'message');
    for (const [button, no] of [['选择头像', '取消'], ['绑定手机号', '不允许']]) {
      await tap(page, button);
      await assertAccess(page, button);
      await tap(page, no);
    }
    await tap(page, '退出登录');
    await reads(page, '您已退出登录');
    await assertAccess(page, 'logged out');
  });

  test(`axe-core finds nothing after any fault, in both languages, on a ${name}`, async (t) => {
    const { page } = await visit(t, { viewport });
    await arrive(page);
    for (const kind of FAULTS) {
      await page.locator('#clear').click(); // axe-core takes long for many entries
      assert.ok((await play(page, kind)).well);
      if (viewport === LAPTOP) await assertAccess(page, kind);
      await choose(page, 'zh');
      await assertAccess(page, kind + ' in Chinese');
      await choose(page, 'en');
    }
  });
}

test('axe-core finds nothing while a fault is under way', async (t) => {
  const { page } = await visit(t);
  const goOn = await playHeld(page, 'expire');
  await assertAccess(page, 'under way');
  goOn();
  assert.ok((await ended(page)).well);
});

test('a screen reader is told what happened, and not every line of the log', async (t) => {
  const { page } = await visit(t);
  await greets(page, '新朋友');
  await play(page, 'expire');
  const live = await page.locator('[aria-live], [role=status], [role=alert], [role=log]').evaluateAll((elements) => (
    elements.filter((element) => !element.closest('#screen')).map(({ id }) => id)));
  assert.deepEqual(live, ['gone', 'story']);
});
