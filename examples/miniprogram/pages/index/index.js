const wxlogin = require('../../utils/wxlogin.js');

Page({
  data: {
    ready: false,
    profileComplete: false,
    userInfo: {},
    askForProfile: false, // WeChat gave its placeholder only: show chooseAvatar and the nickname input
    chosenAvatar: '',
    message: '',
  },

  onLoad() {
    return this.show(wxlogin.login());
  },

  // show waits for an answer of the server and shows the profile in it.
  async show(answered) {
    try {
      const { userInfo, profileComplete, anonymous = false } = await answered;
      this.setData({ ready: true, userInfo, profileComplete, message: '' });
      if (anonymous) this.offerForm();
    } catch (problem) {
      this.setData({ message: '没有成功：' + (problem.detail || problem.message) });
    }
  },

  // WeChat opens its dialog only straight from a tap, so nothing is awaited before the call.
  onUseProfile() {
    const ask = wx.getUserProfile || wx.getUserInfo;
    ask({
      desc: '用于展示您的头像和昵称', // WeChat shows it in the dialog
      success: (openData) => this.show(wxlogin.updateUserInfo(openData)),
      fail: () => this.setData({ message: '您没有授权，资料保持不变' }),
    });
  },

  // Both components fall under the user privacy guide (用户隐私保护指引): declare nickname and avatar in the admin
  // console, or WeChat disables them. Without the user's consent the nickname input is an ordinary text field, hence
  // the question.
  offerForm() {
    this.setData({ askForProfile: true });
    if (wx.requirePrivacyAuthorize) {
      wx.requirePrivacyAuthorize({ fail: () => this.setData({ message: '请先同意隐私保护指引，再填写头像和昵称' }) });
    }
  },

  // avatarUrl is a temporary file on this phone (wxfile://tmp…), gone tomorrow: never store the path. wx.uploadFile it to
  // an endpoint of your own; the wxlogin server has no route that takes an avatar or a typed nickname.
  onChooseAvatar({ detail }) {
    this.setData({ chosenAvatar: detail.avatarUrl });
  },
});
