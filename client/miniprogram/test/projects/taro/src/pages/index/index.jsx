import { View } from '@tarojs/components';
import Taro, { useLoad } from '@tarojs/taro';
import { login, logout, request } from 'wxlogin-client';

export default function Index() {
  useLoad(async () => {
    const { isNewUser } = await login();
    const user = await request({ url: '/userInfo' });
    await logout();
    Taro.setStorageSync('result', { isNewUser, user });
  });
  return <View>Taro</View>;
}
