// What happened while a fault was played, in sentences: read from what was really sent.

import { knows, say } from './words.js';
import { isFailed, valueOf } from './wire.js';

// tell returns the sentences, how it ended, and whether that is well. loggedIn: whether the phone holds a token now.
// denied: what WeChat's API said when the person refused.
export function tell({ kind, items, complete, loggedIn, denied }) {
  const start = items.findLastIndex(({ note }) => note === kind);
  const before = toServer(items.slice(0, start)).find(({ label }) => label === 'POST /onLogin');
  const after = items.slice(start + 1);
  const requests = toServer(after);
  const sentences = [
    before && say('beforeFault', { token: valueOf(before.answer, 'token') }),
    say(kind + 'Done'),
    ...lostIn(after),
    ...busyIn(after),
    ...withdrawnIn(after),
    ...requests.flatMap((request, i) => sentencesOf(request, requests.slice(0, i))),
    kind === 'refuse' && say('nothingSent', { errMsg: denied }),
    ...(kind === 'secondapp' ? samePersonIn(after) : []),
  ].filter(Boolean);
  if (after.length === 0 && kind !== 'refuse') sentences.push(say('noTrouble'));
  if (!complete) sentences.push(say('incomplete'));
  return { sentences, ...endOf(kind, toServer(items), loggedIn) };
}

function toServer(items) {
  return items.filter(({ kind, answer }) => kind === 'http' && answer && !answer.lost);
}

function lostIn(items) {
  return items.filter(({ answer }) => answer?.lost)
    .map((item) => say('sentTwice', { label: item.label, secret: valueOf(item, 'code') }));
}

function busyIn(items) {
  const n = items.filter(({ kind, answer }) => kind === 'wechat' && valueOf(answer, 'errcode') === '-1').length;
  return n ? [say('saidBusy', { n })] : [];
}

// withdrawnIn says what WeChat pushed, and what is left of the user.
function withdrawnIn(items) {
  const pushed = items.findLast(({ kind }) => kind === 'push'); // WeChat repeats it after an error
  if (!pushed) return [];
  const told = [say('pushed', { event: valueOf(pushed, '(decrypted).Event'), status: pushed.answer?.status })];
  const { userInfo, phoneNumber } = toServer(items).findLast(({ label }) => label === 'GET /userInfo')?.answer.data || {};
  if (userInfo && !userInfo.nickName && !userInfo.avatarUrl && !phoneNumber) told.push(say('emptied'));
  return told;
}

// sentencesOf says what matters of one request to the server after those before it.
function sentencesOf(item, before) {
  const { label, answer } = item;
  if (isFailed(item)) return [refusal(label, answer)];
  if (label === 'POST /onLogin') return [say(loginAfter(before), { token: valueOf(answer, 'token') })];
  const earlier = before.findLast((one) => one.label === label);
  if (!earlier || !isFailed(earlier)) return label === 'GET /userInfo' ? [] : [say('callOk', { label, status: answer.status })];
  const data = valueOf(item, 'encryptedData');
  const renewed = data && data !== valueOf(earlier, 'encryptedData');
  const told = [say(renewed ? 'newDataOk' : 'repeatedOk', { label, status: answer.status })];
  if (answer.data.anonymous) told.push(say('placeholder'));
  return told;
}

// loginAfter returns the name of the sentence for a login after these requests.
function loginAfter(before) {
  const refused = before.filter(isFailed);
  if (refused.some(({ label }) => label === 'POST /onLogin')) return 'askedAgain';
  return refused.length ? 'loggedInAgain' : 'loggedIn';
}

function refusal(label, answer) {
  const code = valueOf(answer, 'code') || '';
  const what = knows(code) ? say(code) : say('failedCall', { label });
  const form = { relogin: 'saidRelogin', retry: 'saidRetry' }[valueOf(answer, 'action')] || 'said';
  return say(form, { what, status: answer.status, code, seconds: valueOf(answer, 'Retry-After') || 1 });
}

function samePersonIn(items) {
  const told = items.findLast(({ answer }) => valueOf(answer, 'unionid'));
  const login = items.findLast(({ answer }) => valueOf(answer, 'isNewUser'));
  if (!told || login.answer.data.isNewUser) return [];
  return [say('samePerson', { openid: valueOf(told.answer, 'openid'), unionid: valueOf(told.answer, 'unionid') })];
}

function endOf(kind, requests, loggedIn) {
  const last = requests.at(-1);
  const code = valueOf(last?.answer, 'code');
  if (kind === 'block' && code === 'user_blocked') return { end: say('endBlocked'), well: true, remedy: 'unblock' };
  if (kind === 'limit' && code === 'rate_limited') return { end: say('endLimited'), well: true, remedy: 'newnetwork' };
  if (last && isFailed(last)) return { end: say('endFailed', { label: last.label, status: last.answer.status }), well: false };
  if (kind === 'withdraw' && loggedIn) return { end: say('endWithdrawn'), well: true };
  if (!loggedIn) return { end: say('endOut'), well: false };
  const profile = requests.findLast(({ answer }) => answer.data.profileComplete !== undefined)?.answer.data;
  return { end: profile?.profileComplete ? say('endProfile', { name: profile.userInfo.nickName }) : say('endIn'), well: true };
}
