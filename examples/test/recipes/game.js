// game.js
const wxlogin = require('./utils/wxlogin.js');

wxlogin.setup({ server: 'https://login.example.com' });

async function enter() {
  const { profileComplete } = await wxlogin.login({ silent: true });
  if (!profileComplete) offerProfile();
}

function offerProfile() {
  const button = wx.createUserInfoButton({
    type: 'text', text: '使用微信昵称和头像', withCredentials: true,
    style: { left: 20, top: 80, width: 240, height: 44, lineHeight: 44, textAlign: 'center', color: '#ffffff', backgroundColor: '#07c160' },
  });
  button.onTap(({ errMsg }) => {
    if (errMsg !== 'getUserInfo:ok') return; // refused: the button stays
    wxlogin.updateUserInfo().then(() => button.destroy(), report); // it asks WeChat again: its data fits the session
  });
}

function report({ code, detail }) { console.error(code, detail); }

enter().catch(report);
