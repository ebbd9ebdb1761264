const wxlogin = require('./utils/wxlogin.js');

// The address of your wxlogin server. A release needs https and a domain that is listed in the mini-program's admin
// console; project.config.json switches that check off in DevTools alone (urlCheck), so that a laptop will do.
wxlogin.setup({ server: 'http://127.0.0.1:8080' });

App({});
