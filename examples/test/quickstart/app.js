const wxlogin = require('./utils/wxlogin.js');
wxlogin.setup({ server: 'https://login.example.com' });
App({ onLaunch() { wxlogin.login({ silent: true }).catch(() => {}); } }); // no dialog; pages share this login
