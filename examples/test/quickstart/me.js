const wxlogin = require('../../utils/wxlogin.js');
Page({
  async onShow() { this.setData(await wxlogin.login()); }, // userInfo, profileComplete
  onChooseAvatar({ detail }) { this.avatarFile = detail.avatarUrl; },
  async onSubmit({ detail }) { this.setData(await wxlogin.saveProfile({ ...detail.value, avatarFile: this.avatarFile })); },
  async onGetPhoneNumber({ detail }) { this.setData(await wxlogin.bindPhone(detail)); },
});
