// utils/pay.js
const wxlogin = require('wxlogin-client');

/** pay has the service sign an order by /sign, with the session_key that WeChat has now. */
async function pay(order) {
  await wx.checkSession().catch(() => wxlogin.login({ fresh: true }));
  const signed = await wxlogin.request({ url: 'https://api.example.com/pay', method: 'POST', data: order });
  return wx.requestVirtualPayment(signed); // { mode, signData, paySig, signature }
}

module.exports = { pay };
