// The buttons that cause a fault, and have the phone run into it as a person would.

import { all, byId, el } from './dom.js';
import { closeDialog } from './screen.js';
import { tell } from './story.js';
import { onLanguage, say } from './words.js';

const REMEDY = 'remedy'; // the name under which a remedy that is owed outlives a reload

// What the person does before the fault, and what runs into it.
const plays = {
  newkey: { before: openProfile, then: (phone) => phone.act('sync', true) },
  expire: { before: goHome, then: refresh },
  codetwice: { then: relaunch },
  busy: { then: relaunch },
  refuse: { before: openProfile, then: refuseBoth },
  secondapp: { before: goHome, then: (phone) => phone.restart(1) },
  block: { before: goHome, then: refresh },
  limit: { then: relaunch },
  awayredis: { before: goHome, then: refresh },
  awaymysql: { before: goHome, then: refresh },
  withdraw: { before: goHome, then: refresh },
};
const remedies = { unblock: { then: goHome }, newnetwork: { then: relaunch } };

function relaunch(phone) {
  return phone.restart();
}

function refresh(phone) {
  return phone.act('refresh');
}

async function refuseBoth(phone) {
  await phone.act('phone', false);
  await phone.act('sync', false);
}

// goHome goes to the first page, logged in.
async function goHome(phone) {
  if (phone.app().view.screen === 'closed') await phone.act('open');
  const { view } = phone.app();
  if (view.screen === 'profile') await phone.act('back');
  if (view.state !== 'ready' || view.problem) await phone.act('login');
}

async function openProfile(phone) {
  await goHome(phone);
  await phone.act('profile');
}

// createFaults fills the list of buttons. onTold gets the items of a play, onShow is called when they are to be looked at.
export function createFaults({ phone, wire, onTold, onShow }) {
  const story = byId('story');
  let last; // what was played
  let playing = false; // one thing at a time

  byId('faults').append(...Object.keys(plays).map((kind) => el('li', {},
    el('button', { type: 'button', 'data-fault': kind, 'data-text': kind, 'aria-describedby': kind + '-is' }),
    el('p', { id: kind + '-is', 'data-text': kind + 'Is' }))));
  byId('faults').addEventListener('click', ({ target }) => {
    const { fault } = target.dataset;
    if (fault) play(fault, plays[fault], byId(fault + '-is'));
  });
  story.addEventListener('click', ({ target }) => {
    const { remedy } = target.dataset;
    if (remedy) play(remedy, remedies[remedy], last.place);
    if (target.id === 'show') onShow(last.items);
  });
  onLanguage(showStory);

  async function cause(kind) {
    const res = await fetch(`/phones/${phone.person()}/faults/${kind}?appid=${phone.appId()}`, { method: 'POST' });
    if (!res.ok) throw new Error(`${res.status} ${res.statusText}`);
  }

  // set lets other buttons wait while something is played; they keep the focus.
  function set(now) {
    playing = now;
    for (const control of all('[data-fault], [data-remedy], [data-app], #fresh, #another, #release input, #next')) {
      control.ariaDisabled = now ? 'true' : null;
    }
  }

  // play shows the story at a place.
  async function play(kind, way, place) {
    if (playing) return;
    set(true);
    last = { kind, place, playing };
    showStory();
    try {
      last = { kind, place, ...await run(kind, way) };
      onTold(last.items);
    } catch (err) {
      last = { kind, place, problem: err.message };
    }
    showStory();
    story.scrollIntoView({ block: 'nearest' });
    set(false);
  }

  // run returns what happened. A remedy that the previous fault left is applied first.
  async function run(kind, { before = () => {}, then }) {
    closeDialog();
    await phone.app().settled();
    const owed = sessionStorage.getItem(REMEDY);
    sessionStorage.removeItem(REMEDY);
    if (owed && owed !== kind) await cause(owed);
    if (owed === 'newnetwork') await relaunch(phone);
    const mark = wire.count();
    const answersBefore = phone.answers();
    await before(phone);
    await cause(kind);
    await then(phone);
    const seen = await wire.since(mark, kind, phone.answers() - answersBefore);
    return { ...seen, loggedIn: phone.app().loggedIn(), denied: phone.app().denied() };
  }

  function showStory() {
    story.hidden = !last;
    if (!last) return story.replaceChildren();
    last.place.after(story);
    if (last.playing) return story.replaceChildren(el('p', {}, say('playing')));
    if (last.problem) return story.replaceChildren(el('p', { class: 'end bad' }, say('playFailed', { message: last.problem })));
    const { sentences, end, well, remedy } = tell(last);
    if (remedy) sessionStorage.setItem(REMEDY, remedy);
    return story.replaceChildren(
      el('ol', {}, ...sentences.map((sentence) => el('li', {}, sentence))),
      el('p', { class: well ? 'end' : 'end bad' }, end),
      el('p', { class: 'actions' },
        remedy && el('button', { type: 'button', class: 'small', 'data-remedy': remedy }, say(remedy)),
        el('button', { type: 'button', id: 'show', class: 'small' }, say('showRefused'))));
  }

  return {
    // start plays a fault whose button is elsewhere: place is what the story follows.
    start: (kind, place) => play(kind, plays[kind], place),
    playing: () => playing,
    // forget is called when the phone is another one, or another person's.
    forget() {
      last = undefined;
      showStory();
    },
  };
}
