// The phone's own dialogs: what WeChat asks its user, over the mini-program.

/**
 * createDialogs returns what asks, in the screen. One dialog is open at a time; what lies below it cannot be reached
 * meanwhile. The dialog takes the focus and gives it back.
 *
 * @param {HTMLElement} screen
 */
function createDialogs(screen) {
  /** @type {((answer?: any) => void) | null} */
  let closeOpen = null;

  /**
   * ask resolves with the answer of the choice that was made, or with undefined: for cancel, Escape, or when the dialog
   * is closed from outside.
   *
   * @param {object} question
   * @param {string} question.title
   * @param {string} [question.text]
   * @param {string} [question.picture] address
   * @param {{text: string, answer?: any}[]} question.choices
   * @returns {Promise<any>}
   */
  function ask({ title, text = '', picture = '', choices }) {
    close();
    const before = /** @type {HTMLElement} */ (document.activeElement);
    const below = [...screen.children];
    const dialog = make('div', { class: 'dialog', role: 'dialog', 'aria-label': title });
    const sheet = make('div', { class: 'sheet' });
    dialog.append(sheet);
    sheet.append(make('p', { class: 'title' }, title));
    if (picture) sheet.append(make('img', { src: picture, alt: '' }));
    if (text) sheet.append(make('p', {}, text));
    return new Promise((resolve) => {
      closeOpen = (answer) => {
        closeOpen = null;
        const hadFocus = dialog.contains(document.activeElement) || document.activeElement === document.body;
        dialog.remove();
        for (const element of below) element.removeAttribute('inert');
        if (hadFocus && before.isConnected) before.focus();
        resolve(answer);
      };
      for (const choice of choices) {
        const button = make('button', { type: 'button' }, choice.text);
        button.addEventListener('click', () => close(choice.answer));
        sheet.append(button);
      }
      dialog.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(); });
      for (const element of below) element.setAttribute('inert', '');
      screen.append(dialog);
      sheet.querySelector('button').focus();
    });
  }

  /** @param {any} [answer] */
  function close(answer) {
    if (closeOpen) closeOpen(answer);
  }

  return {
    close,

    chooseAvatar: (face) => ask({
      title: '选择头像', picture: face, choices: [{ text: '用微信头像', answer: true }, { text: '取消' }],
    }),

    /** phoneNumber resolves with true, or with false for a refusal, however that is made. */
    phoneNumber: async () => Boolean(await ask({
      title: '申请获取并验证你的手机号', text: '用于示例小程序',
      choices: [{ text: '允许', answer: true }, { text: '不允许', answer: false }],
    })),

    /** confirm is wx.showModal. */
    confirm: async ({ title = '', content = '', showCancel = true, confirmText = '确定', cancelText = '取消' }) => Boolean(
      await ask({
        title: title || content, text: title && content,
        choices: [{ text: confirmText, answer: true }, ...(showCancel ? [{ text: cancelText }] : [])],
      })),
  };
}

/** make makes an element, with a text in it. */
function make(tag, attributes = {}, text = '') {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

module.exports = { createDialogs, make };
