import { login, logout, request } from 'wxlogin-client';

Page({
  async onLoad() {
    const { isNewUser } = await login();
    const user = await request({ url: '/userInfo' });
    await logout();
    wx.setStorageSync('result', { isNewUser, user });
  },
});
