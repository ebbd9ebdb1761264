// pages/orders/orders.js
const wxlogin = require('wxlogin-client');

const API = 'https://api.example.com';

Page({
  data: { orders: [], photo: '', problem: '' },

  onShow() { return this.attempt(async () => ({ orders: await wxlogin.request({ url: API + '/orders' }) })); },

  onAddPhoto() {
    return this.attempt(async () => {
      const { tempFiles } = await wx.chooseMedia({ count: 1, mediaType: ['image'] });
      const { url } = await wxlogin.uploadFile({ url: API + '/photos', filePath: tempFiles[0].tempFilePath, name: 'photo' });
      return { photo: url };
    });
  },

  onShowInvoice() {
    return this.attempt(async () => {
      const { filePath } = await wxlogin.downloadFile({ url: API + '/invoice.pdf' });
      await wx.openDocument({ filePath });
    });
  },

  /** attempt shows what an action gives, or a sentence about its failure. */
  async attempt(action) {
    try {
      this.setData({ problem: '', ...await action() });
    } catch (err) {
      if (!wxlogin.isProblem(err)) throw err; // such as a choice that the user has closed
      this.setData({ problem: err.code === 'logged_out' ? '请先登录' : `暂时无法完成（${err.code}）` });
    }
  },
});
