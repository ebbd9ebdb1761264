// The login that mini-programs have had from the start, without any library: the server must serve it as it is.

// readme:begin
const form = { 'content-type': 'application/x-www-form-urlencoded' };

function login(server, done, fail) {
  wx.login({
    success: ({ code }) => wx.request({
      url: server + '/onLogin', method: 'POST', header: form, data: { code },
      success: (res) => {
        if (res.data.status != 200) return fail(res.data);
        const { token, userInfo } = res.data;
        wx.setStorageSync('token', token);
        if (userInfo.nickName) return done(userInfo); // known from an earlier visit
        updateUserInfo(server, token, done, fail);
      },
      fail,
    }),
    fail,
  });
}

function updateUserInfo(server, token, done, fail) {
  wx.getUserInfo({
    success: ({ encryptedData, iv }) => wx.request({
      url: server + '/updateUserInfo', method: 'POST', header: form, data: { encryptedData, iv, token },
      success: (res) => (res.data.status == 200 ? done(res.data.userInfo) : fail(res.data)),
      fail,
    }),
    fail,
  });
}
// readme:end

module.exports = { login };
