// src/pages/me/index.tsx
import { Button, Form, Image, Input, Text } from '@tarojs/components';
import { useDidShow } from '@tarojs/taro';
import { useRef, useState } from 'react';
import { bindPhone, chosenAvatar, isProblem, login, saveProfile } from 'wxlogin-client';

export default function Me() {
  const [me, setMe] = useState({ nickName: '', avatarUrl: '', phoneNumber: '' });
  const [problem, setProblem] = useState('');
  const avatarFile = useRef('');

  /** attempt shows what an action gives, or why it failed. */
  const attempt = async (action: () => Promise<Partial<typeof me>>) => {
    setProblem('');
    try {
      const changes = await action();
      setMe((before) => ({ ...before, ...changes }));
    } catch (err) {
      if (!isProblem(err)) throw err;
      if (err.code !== 'refused') setProblem(err.code); // refused: the user has changed their mind
    }
  };

  useDidShow(() => {
    attempt(async () => {
      const { userInfo, phoneNumber } = await login({ silent: true });
      return { nickName: userInfo.nickName, avatarUrl: userInfo.avatarUrl, phoneNumber };
    });
  });
  const onChooseAvatar = (e: any) => attempt(async () => {
    avatarFile.current = await chosenAvatar(e.detail);
    return { avatarUrl: avatarFile.current };
  });
  const onPhone = (e: any) => attempt(() => bindPhone(e.detail));
  const onSubmit = (e: any) => attempt(async () => {
    const { userInfo } = await saveProfile({ nickName: e.detail.value.nickName, avatarFile: avatarFile.current });
    avatarFile.current = '';
    return { avatarUrl: userInfo.avatarUrl };
  });

  return (
    <>
      <Form onSubmit={onSubmit}>
        <Button openType="chooseAvatar" onChooseAvatar={onChooseAvatar}><Image src={me.avatarUrl} /></Button>
        <Input type="nickname" name="nickName" value={me.nickName} />
        <Button formType="submit">保存</Button>
      </Form>
      {me.phoneNumber
        ? <Text>{me.phoneNumber}</Text>
        : <Button openType="getPhoneNumber" onGetPhoneNumber={onPhone}>绑定手机号</Button>}
      <Text>{problem}</Text>
    </>
  );
}
