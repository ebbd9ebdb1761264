// What happened while a fault was played, in sentences: read from what really crossed the wire.

import { fieldOf } from './wire.js';
import { isRepeated } from './log.js';
import { knows, say } from './words.js';

// tell gives the sentences, the last one saying how it ended. loggedIn: whether the phone holds a token now.
export function tell({ kind, events, complete, loggedIn }) {
  const exchanges = exchangesOf(events);
  const toServer = exchanges.filter((exchange) => exchange.kind === 'http' && !exchange.lost);
  const sentences = [
    say(kind + 'Done'),
    ...lostIn(exchanges),
    ...busyIn(exchanges),
    ...toServer.flatMap((exchange, i) => sentencesOf(exchange, toServer.slice(0, i))),
    ...(kind === 'secondapp' ? samePersonIn(events) : []),
  ];
  if (sentences.length === 1) sentences.push(say('noTrouble'));
  if (!complete) sentences.push(say('incomplete'));
  return { sentences, end: endOf(toServer, loggedIn), well: loggedIn && !(toServer.at(-1)?.answer.status >= 400) };
}

// exchangesOf pairs requests with their answers. lost: the phone never got that answer, since the request was repeated
// on the way.
function exchangesOf(events) {
  const exchanges = [];
  for (const event of events.filter(({ type }) => type === 'request')) {
    const answer = events.find(({ type, exchange }) => type === 'answer' && exchange === event.exchange);
    const before = exchanges.findLast(({ kind }) => kind === 'http');
    if (isRepeated(event, before?.request)) before.lost = true;
    if (answer) exchanges.push({ kind: event.kind, label: event.label, request: event, answer });
  }
  return exchanges;
}

function lostIn(exchanges) {
  return exchanges.filter(({ lost }) => lost)
    .map(({ label, request }) => say('sentTwice', { label, secret: fieldOf(request, 'code') }));
}

function busyIn(exchanges) {
  const n = exchanges.filter(({ kind, answer }) => kind === 'wechat' && fieldOf(answer, 'errcode') === '-1').length;
  return n ? [say('saidBusy', { n })] : [];
}

// sentencesOf tells of one exchange with the server what matters after those before it.
function sentencesOf({ label, request, answer }, before) {
  if (answer.status >= 400) return [refusal(label, answer)];
  if (label === 'POST /onLogin') return [say(loginAfter(before), { token: fieldOf(answer, 'token') })];
  const earlier = before.findLast((one) => one.label === label);
  if (!(earlier?.answer.status >= 400)) return [];
  const data = fieldOf(request, 'encryptedData');
  const renewed = data && data !== fieldOf(earlier.request, 'encryptedData');
  const told = [say(renewed ? 'newDataOk' : 'repeatedOk', { label, status: answer.status })];
  if (fieldOf(answer, 'anonymous') === 'true') told.push(say('placeholder'));
  return told;
}

// loginAfter names the sentence for a login after these exchanges.
function loginAfter(before) {
  const refused = before.filter(({ answer }) => answer.status >= 400);
  if (refused.some(({ label }) => label === 'POST /onLogin')) return 'askedAgain';
  return refused.length ? 'loggedInAgain' : 'loggedIn';
}

function refusal(label, answer) {
  const code = fieldOf(answer, 'code') || '';
  const what = knows(code) ? say(code) : say('refused', { label });
  const action = fieldOf(answer, 'action');
  const form = { relogin: 'saidRelogin', retry: 'saidRetry' }[action] || 'said';
  return say(form, { what, status: answer.status, code, seconds: fieldOf(answer, 'Retry-After') || 1 });
}

function samePersonIn(events) {
  const told = events.findLast((event) => event.type === 'answer' && fieldOf(event, 'unionid'));
  const login = events.findLast((event) => fieldOf(event, 'isNewUser'));
  if (!told || fieldOf(login, 'isNewUser') !== 'false') return [];
  return [say('samePerson', { openid: fieldOf(told, 'openid'), unionid: fieldOf(told, 'unionid') })];
}

function endOf(toServer, loggedIn) {
  const last = toServer.at(-1);
  if (last?.answer.status >= 400) return say('endFailed', { label: last.label, status: last.answer.status });
  if (!loggedIn) return say('endOut');
  const profile = toServer.findLast(({ answer }) => fieldOf(answer, 'profileComplete'))?.answer;
  if (fieldOf(profile, 'profileComplete') !== 'true') return say('endIn');
  return say('endProfile', { name: fieldOf(profile, 'userInfo.nickName') });
}
