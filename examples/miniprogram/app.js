const config = require('./config.js');
const wxlogin = require('./utils/wxlogin.js');

wxlogin.setup({ server: config.server });

App({
  // The login begins with the mini-program, not with its first page, and shows no dialog. The page shares it by calling
  // login() itself, and shows its failure too, which is why that is not handled here.
  onLaunch() {
    wxlogin.login({ silent: true }).catch(() => {});
  },
});
