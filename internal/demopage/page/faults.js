// The buttons that bring a fault about, and have the phone run into it as a person would.

import { byId, el } from './dom.js';
import { tell } from './story.js';
import { onLanguage, say } from './words.js';

const SECOND = 1;

// What the person does before the fault, and what runs into it.
const plays = {
  newkey: { before: openProfile, then: (phone) => tap(phone, '同步微信资料') },
  expire: { before: goHome, then: (phone) => tap(phone, '刷新') },
  codetwice: { before: settle, then: relaunch },
  busy: { before: settle, then: relaunch },
  secondapp: { before: settle, then: (phone) => phone.restart(SECOND) },
};

function settle(phone) {
  return phone.app().idle();
}

function relaunch(phone) {
  phone.restart(phone.openIndex());
}

async function tap(phone, text) {
  await phone.app().tap(text);
  await settle(phone);
}

// goHome goes back to the first page, logged in.
async function goHome(phone) {
  await settle(phone);
  for (let pages = 0; !phone.atHome() && pages < 10; pages++) {
    await phone.app().back();
    await settle(phone);
  }
  for (const text of ['登录', '重试']) {
    if (phone.app().buttons().includes(text)) await tap(phone, text);
  }
}

async function openProfile(phone) {
  await goHome(phone);
  await tap(phone, '我的资料');
}

// createFaults fills the list of buttons. busy keeps one play at a time.
export function createFaults({ phone, wire, busy, onShown }) {
  let last; // what was played, for the other language

  byId('faults').append(...Object.keys(plays).map((kind) => el('li', {},
    el('button', { type: 'button', 'data-fault': kind, 'data-text': kind, 'aria-describedby': kind + '-is' }),
    el('p', { id: kind + '-is', 'data-text': kind + 'Is' }))));
  byId('faults').addEventListener('click', ({ target }) => {
    const { fault } = target.dataset;
    if (fault) busy.run(() => play(fault));
  });
  onLanguage(() => showStory(last));

  async function play(kind) {
    last = { kind, playing: true };
    showStory(last);
    try {
      phone.closeDialog();
      await plays[kind].before(phone);
      const mark = wire.mark();
      const answersBefore = phone.answers();
      const res = await fetch(`/phones/${phone.person()}/faults/${kind}`, { method: 'POST' });
      if (!res.ok) throw new Error(`${res.status} ${res.statusText}`);
      await plays[kind].then(phone);
      onShown();
      await settle(phone);
      const twice = kind === 'codetwice' ? 1 : 0; // one answer never comes as far as the phone
      const seen = await wire.since(mark, kind, phone.answers() - answersBefore + twice);
      last = { kind, ...seen, loggedIn: phone.loggedIn() };
    } catch (err) {
      last = { kind, problem: err.message };
    }
    showStory(last);
    byId('story').scrollIntoView({ block: 'nearest' });
  }

  return {
    forget() {
      last = undefined;
      showStory(last);
    },
  };
}

function showStory(played) {
  const story = byId('story');
  story.replaceChildren();
  if (!played) return void story.append(el('p', { class: 'quiet' }, say('untold')));
  story.append(el('h2', {}, say('story')));
  if (played.playing) return void story.append(el('p', {}, say('playing')));
  if (played.problem) return void story.append(el('p', { class: 'end bad' }, say('playFailed', { message: played.problem })));
  const { sentences, end, well } = tell(played);
  story.append(
    el('ol', {}, ...sentences.map((sentence) => el('li', {}, sentence))),
    el('p', { class: well ? 'end' : 'end bad' }, end));
}
