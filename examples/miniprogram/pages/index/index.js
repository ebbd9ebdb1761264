const wxlogin = require('../../utils/wxlogin.js');
const { explain } = require('../../utils/texts.js');

Page({
  data: {
    state: 'loading', // or ready, loggedOut, failed
    userInfo: { nickName: '', avatarUrl: '' },
    profileComplete: false,
    deleted: false, // the account, a moment ago
    busy: '', // the button that is at work: until it is done, none can be tapped
    message: '',
  },

  /** @param {{deleted?: string}} query */
  onLoad({ deleted }) {
    this.setData({ deleted: Boolean(deleted) });
  },

  // At launch this shares the login that app.js began. It comes again on the way back from the profile, where anything
  // may have changed; with a token that is good, login() only asks for the user.
  onShow() {
    return this.show(wxlogin.login({ silent: true }));
  },

  // show waits for an answer with a user in it, and reports whether it came.
  /** @param {Promise<any>} answer */
  show(answer) {
    return answer.then(({ userInfo, profileComplete }) => {
      this.setData({ state: 'ready', userInfo, profileComplete, message: '' });
      return true;
    }, (problem) => {
      this.showProblem(problem);
      return false;
    });
  },

  /** @param {any} problem */
  showProblem(problem) {
    if (problem.code === 'logged_out') {
      this.setData({ state: 'loggedOut', message: '' });
      return;
    }
    const state = this.data.state === 'ready' ? 'ready' : 'failed'; // what is known of the user stays to be seen
    this.setData({ state, message: explain(problem) });
  },

  // onLogin is for 登录 and 重试. It is not silent: the user asked for it, which ends a logout.
  onLogin() {
    this.setData({ state: 'loading', deleted: false, message: '' });
    return this.show(wxlogin.login());
  },

  async onRefresh() {
    if (this.data.busy) return;
    this.setData({ busy: 'refresh', message: '' });
    const fresh = await this.show(wxlogin.request({ url: '/userInfo' }));
    this.setData({ busy: '' });
    if (fresh) wx.showToast({ title: '已刷新' });
  },

  // A second tap while the first one opens the page would open it twice.
  onOpenProfile() {
    if (this.data.busy) return;
    this.setData({ busy: 'profile' });
    wx.navigateTo({ url: '/pages/profile/profile', complete: () => this.setData({ busy: '' }) });
  },
});
