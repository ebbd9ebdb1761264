const wxlogin = require('./utils/wxlogin.js');
wxlogin.setup({ server: 'https://login.example.com' });
App({ onLaunch() { wxlogin.login().catch(() => {}); } }); // no dialog; pages share this login
