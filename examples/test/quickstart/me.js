const wxlogin = require('../../utils/wxlogin.js');
Page({
  onShow() { wxlogin.login({ silent: true }).then((me) => this.setData(me), () => {}); }, // userInfo, phoneNumber, …
  onChooseAvatar({ detail }) { this.avatarFile = detail.avatarUrl; },
  async onSubmit({ detail }) { this.setData(await wxlogin.saveProfile({ ...detail.value, avatarFile: this.avatarFile })); },
  async onGetPhoneNumber({ detail }) { this.setData(await wxlogin.bindPhone(detail)); },
});
