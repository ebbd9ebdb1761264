// src/app.ts
import { useLaunch } from '@tarojs/taro';
import type { PropsWithChildren } from 'react';
import { login, setup } from 'wxlogin-client';

setup({ server: 'https://login.example.com', services: ['https://api.example.com'] });

export default function App({ children }: PropsWithChildren) {
  useLaunch(() => { login({ silent: true }).catch(() => {}); });
  return children;
}
