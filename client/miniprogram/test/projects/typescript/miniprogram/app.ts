import { setup } from 'wxlogin-client';

App({
  onLaunch() {
    setup({ server: 'https://login.example.com' });
  },
});
