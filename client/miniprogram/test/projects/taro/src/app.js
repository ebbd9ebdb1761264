import { useLaunch } from '@tarojs/taro';
import { setup } from 'wxlogin-client';

export default function App({ children }) {
  useLaunch(() => setup({ server: 'https://login.example.com' }));
  return children;
}
