// Client of a wxlogin server. Install the package, or copy this file into your mini-program's utils/, and use it so:
//
//   const wxlogin = require('./utils/wxlogin.js');
//   wxlogin.setup({ server: 'https://login.example.com' });   // once, in app.js
//   await wxlogin.login({ silent: true });                    // in onLaunch and onShow: after a logout it rejects
//   await wxlogin.login();                                    // behind a button: it ends a logout
//   await wxlogin.login({ fresh: true });                     // if WeChat has replaced the session_key
//   const body = await wxlogin.request({ url: '/userInfo' }); // with the token
//   await wxlogin.uploadFile({ url, filePath, name: 'file' }); // likewise; and downloadFile
//   const token = await wxlogin.token();                      // for what is no request, such as a socket
//   wxlogin.onChange(({ loggedIn }) => {});                   // after each login and logout
//
// No form of login() shows a dialog. The client never has two logins under way, keeps the token with its expiry,
// and does what the server's answers advise (their "action"): "relogin" and "retry" once each for a call. Everything that
// can fail returns a promise, which always settles, even if WeChat never calls back, and rejects with a Problem.

export { setup } from './options.js';
export { login } from './login.js';
export { token } from './token.js';
export { downloadFile, request, uploadFile } from './request.js';
export { bindPhone, chosenAvatar, saveProfile, unbindPhone, updateUserInfo } from './profile.js';
export { deleteAccount, logout } from './leave.js';
export { onChange } from './record.js';
export { Problem, isProblem } from './problem.js';
