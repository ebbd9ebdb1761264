const wxlogin = require('../../utils/wxlogin.js');
const { explain } = require('../../utils/texts.js');

const HOME = '/pages/index/index';
const WARNING = '#c0271d';

const UNBINDING = { title: '解绑手机号', content: '解绑后将删除您的手机号，需要时可以重新绑定。', confirmText: '解绑' };
const DELETING = {
  title: '注销账号', confirmText: '确认注销', confirmColor: WARNING,
  content: '注销后，您的头像、昵称、手机号和其他资料将被永久删除，所有设备都会退出登录，且无法恢复。确定要注销吗？',
};

/**
 * confirmed asks the user, and reports whether the answer is yes.
 * @param {{title: string, content: string, confirmText: string, confirmColor?: string}} question
 * @returns {Promise<boolean>}
 */
function confirmed(question) {
  return new Promise((resolve) => {
    wx.showModal({ ...question, success: ({ confirm }) => resolve(confirm), fail: () => resolve(false) });
  });
}

Page({
  data: {
    state: 'loading', // or ready, failed
    userInfo: { nickName: '', avatarUrl: '' },
    profileComplete: false,
    editing: false, // the form is open
    nameAtFirst: '', // what the form begins with; what is typed since is only in the form
    chosenAvatar: '', // a file on this phone, gone tomorrow: it is uploaded, its path never stored
    phoneNumber: '', // with its middle hidden; while one is known, no other is asked for: each is paid for
    busy: '', // the button that is at work: until it is done, none can be tapped
    hint: '',
    message: '',
  },

  onLoad() {
    return this.load();
  },

  onRetry() {
    this.setData({ state: 'loading', message: '' });
    return this.load();
  },

  load() {
    return wxlogin.login({ silent: true }).then((answer) => {
      this.setData({ state: 'ready' });
      this.show(answer);
    }, (problem) => {
      if (problem.code === 'logged_out') wx.reLaunch({ url: HOME });
      else this.setData({ state: 'failed', message: explain(problem) });
    });
  },

  // show takes over what the server knows of the user; if something is missing, it asks for it.
  // A server from before the answers had the number says '' of it: what bindPhone() has brought stays.
  /** @param {{userInfo: any, profileComplete: boolean, phoneNumber: string}} answer */
  show({ userInfo, profileComplete, phoneNumber }) {
    this.setData({ userInfo, profileComplete, phoneNumber: phoneNumber || this.data.phoneNumber });
    if (!profileComplete) this.openForm();
  },

  // run lets one button work at a time. data.busy counts from the moment of the tap, the buttons' disabled only from
  // when they are drawn: a second tap may come between.
  /** @param {string} button @param {() => Promise<void>} work */
  async run(button, work) {
    if (this.data.busy) return;
    this.setData({ busy: button, message: '' });
    try {
      await work();
    } catch (problem) {
      this.setData({ message: explain(problem) });
      if (/** @type {any} */ (problem).code === 'file_gone') this.setData({ chosenAvatar: '' });
    }
    this.setData({ busy: '' });
  },

  // openForm is for 修改资料 too. chooseAvatar and the nickname input fall under the user privacy guide (用户隐私保护指引).
  // Without the user's consent the input is an ordinary one that does not offer the WeChat name, and it does not ask by
  // itself, hence the question.
  openForm() {
    if (this.data.editing) return;
    this.setData({ editing: true, hint: '', nameAtFirst: this.data.userInfo.nickName, chosenAvatar: '' });
    if (wx.requirePrivacyAuthorize) {
      wx.requirePrivacyAuthorize({
        fail: () => this.setData({ message: '请先同意隐私保护指引，再选择头像和填写昵称。' }),
      });
    }
  },

  // onChooseAvatar gets errors too. That the user chose none is not worth a message.
  /** @param {WechatMiniprogram.CustomEvent<{avatarUrl?: string, errMsg?: string}>} event */
  onChooseAvatar({ detail }) {
    return wxlogin.chosenAvatar(detail).then((chosenAvatar) => {
      this.setData({ chosenAvatar, message: '' });
    }, (problem) => {
      this.setData({ message: problem.code === 'refused' ? '' : explain(problem) });
    });
  },

  // WeChat checks a typed nickname by itself, after the input has lost the focus, and empties the input where the name
  // is not allowed. So the name is taken from the submitted form, which holds what is left in the input: a copy made
  // by an input event would still have the refused name. This is the result of WeChat's check.
  /** @param {WechatMiniprogram.CustomEvent<{pass: boolean, timeout: boolean}>} event */
  onNicknameReview({ detail }) {
    if (!detail.pass && !detail.timeout) this.setData({ message: '这个昵称没有通过微信的检查，请换一个。' });
  },

  /** @param {WechatMiniprogram.CustomEvent<{value: Record<string, any>}>} event */
  onSave({ detail }) {
    const nickName = String(detail.value.nickName || '').trim();
    return this.run('save', async () => {
      const answer = await wxlogin.saveProfile({ nickName, avatarFile: this.data.chosenAvatar });
      this.setData({ editing: !answer.profileComplete, chosenAvatar: '' });
      this.show(answer);
      if (answer.profileComplete) wx.showToast({ title: '已保存' });
      else this.setData({ message: answer.userInfo.nickName ? '已保存，还差一张头像。' : '已保存，还差一个昵称。' });
    });
  },

  // WeChat gives the real profile to releases from before 28 April 2021, to others a placeholder (微信用户 and a grey
  // picture). It opens its dialogs only straight from a tap: with the token that load() made sure of, nothing is
  // waited for before WeChat is asked.
  onSync() {
    return this.run('sync', async () => {
      const answer = await wxlogin.updateUserInfo();
      this.show(answer);
      if (answer.anonymous) {
        this.openForm();
        this.setData({ hint: '微信不再直接提供头像和昵称，请您自己选择和填写' });
      } else {
        this.setData({ editing: !answer.profileComplete });
        wx.showToast({ title: '已同步' });
      }
    });
  },

  // The dialog of this button opened at the tap, before the event; detail says what the user answered.
  /** @param {WechatMiniprogram.ButtonGetPhoneNumber} event */
  onPhoneNumber({ detail }) {
    return this.run('phone', async () => {
      const { phoneNumber } = await wxlogin.bindPhone(detail);
      this.setData({ phoneNumber });
    });
  },

  onUnbindPhone() {
    return this.run('unbind', async () => {
      if (!await confirmed(UNBINDING)) return;
      const { phoneNumber } = await wxlogin.unbindPhone();
      this.setData({ phoneNumber });
      wx.showToast({ title: '已解绑' });
    });
  },

  onDeleteAccount() {
    return this.run('delete', async () => {
      if (!await confirmed(DELETING)) return;
      await wxlogin.deleteAccount();
      wx.reLaunch({ url: HOME + '?deleted=yes' });
    });
  },

  onLogout() {
    return this.run('logout', async () => {
      await wxlogin.logout().catch(() => {}); // the phone forgets the token, even if the server cannot be reached
      wx.reLaunch({ url: HOME });
    });
  },
});
