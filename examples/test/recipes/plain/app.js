// app.js
const wxlogin = require('wxlogin-client'); // of the one-file copy: './utils/wxlogin.js'

wxlogin.setup({ server: 'https://login.example.com', services: ['https://api.example.com'] });
App({ onLaunch() { wxlogin.login({ silent: true }).catch(() => {}); } }); // pages share this login, and see its problem
