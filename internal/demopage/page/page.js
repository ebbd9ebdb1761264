// The page: which part is told of what.

import { all, byId } from './dom.js';
import { createFaults } from './faults.js';
import { createLog } from './log.js';
import { createPhone } from './phone.js';
import { createStorage } from './storage.js';
import { createWire } from './wire.js';
import { onLanguage, preferredLanguage, readWords, rememberLanguage, say, useLanguage } from './words.js';

await readWords();

const PLAYED = 'played';
const secrets = byId('secrets');
const addressOf = (path) => `/phones/${phone.person()}/${path}`;
let gone = false;
let unread = 0;

const log = createLog({ curlOf: ({ exchange }) => addressOf(`curl/${exchange}`) });
const storage = createStorage({
  address: () => addressOf(secrets.checked ? 'state?secrets=show' : 'state'),
  onState: ({ nickName }) => phone.setNickName(nickName),
});
const phone = createPhone({ onChange: showSteps, onError: (err) => log.addError(err.message) });
const wire = createWire({ onItem, onAnswer, onClear, onGone });
const busy = createBusy();
const faults = createFaults({ phone, wire, busy, onTold, onShow });

// createBusy lets one thing be played at a time. Buttons that have to wait keep the focus.
function createBusy() {
  let playing = false;
  function set(now) {
    playing = now;
    for (const control of all('[data-fault], [data-remedy], [data-app], #fresh, #another, #release input, #next')) {
      control.ariaDisabled = now ? 'true' : null;
    }
  }
  return {
    async run(play) {
      if (playing) return;
      set(true);
      await play().finally(() => set(false));
    },
    playing: () => playing,
  };
}

function onItem(item) {
  log.add(item);
  if (item.type === 'note') storage.refresh();
  if (document.body.dataset.tab !== 'network') unread++;
  showUnread();
}

function onAnswer(item) {
  log.answered(item);
  if (item.kind === 'http') storage.refresh();
}

function onClear() {
  log.clear();
  unread = 0;
  showUnread();
}

function onGone(now) {
  if (now === gone) return;
  gone = now;
  showGone();
  if (!gone) storage.refresh();
}

function showGone() {
  byId('gone').textContent = gone ? say('gone') : '';
}

function onTold(items) {
  sessionStorage.setItem(PLAYED, phone.person());
  log.show(items);
  showSteps();
}

function onShow(items) {
  openTab('network');
  log.show(items);
  byId('log').focus({ preventScroll: true });
}

// The parts of the page are tabs if the screen is narrow.
function openTab(name) {
  document.body.dataset.tab = name;
  for (const button of all('button[data-tab]')) button.ariaPressed = button.dataset.tab === name;
  if (name === 'network') unread = 0;
  showUnread();
}

function showUnread() {
  byId('unread').hidden = unread === 0;
  byId('unread').textContent = unread;
}

const isNarrow = () => matchMedia('(max-width: 899px)').matches;

// The steps of the beginning: the first one that is not done is the page's primary action.
const steps = [
  { isDone: () => phone.loggedIn(), act: () => phone.act(phone.view().screen === 'closed' ? 'open' : 'login') },
  { isDone: () => phone.view().complete, act: fillIn },
  { isDone: () => sessionStorage.getItem(PLAYED) === phone.person(), act: () => faults.start('newkey', isNarrow() ? byId('start') : byId('newkey-is')) },
];

function showSteps() {
  const next = steps.findIndex(({ isDone }) => !isDone());
  all('[data-step]').forEach((element, i) => {
    element.classList.toggle('done', i < next || next < 0);
    element.ariaCurrent = i === next ? 'step' : null;
  });
  byId('next').hidden = next < 0;
  byId('all-done').hidden = next >= 0;
  if (next >= 0) byId('next').textContent = say(`next${next + 1}`);
}

async function fillIn() {
  if (phone.view().screen !== 'profile') await phone.act('profile');
  await phone.act('avatar', true);
  phone.enterName();
  await phone.act('save');
}

function follow() {
  wire.follow(phone.person(), secrets.checked);
  storage.forget();
}

function onClick(selector, listener) {
  for (const element of all(selector)) {
    element.addEventListener('click', (event) => {
      if (busy.playing()) event.preventDefault();
      else listener(element);
    });
  }
}

onClick('[data-app]', ({ dataset }) => {
  faults.forget();
  phone.see(Number(dataset.app));
});
onClick('#fresh', () => {
  faults.forget();
  phone.fresh();
});
onClick('#another', () => {
  phone.another();
  faults.forget();
  follow();
  phone.see(0);
});
onClick('#release input', ({ value }) => {
  faults.forget();
  phone.setRelease(value);
});
onClick('#next', () => {
  log.follow();
  steps.find(({ isDone }) => !isDone()).act();
});
byId('screen').addEventListener('click', log.follow);
byId('clear').addEventListener('click', log.clear);
secrets.addEventListener('change', follow);
for (const button of all('button[data-tab]')) button.addEventListener('click', () => openTab(button.dataset.tab));
for (const button of all('[data-language]')) {
  button.addEventListener('click', () => {
    rememberLanguage(button.dataset.language);
    useLanguage(button.dataset.language);
  });
}

function showTime() {
  byId('clock').textContent = new Date().toTimeString().slice(0, 5);
}

onLanguage(showGone);
onLanguage(showSteps);
useLanguage(preferredLanguage());
showTime();
setInterval(showTime, 10000);
openTab('phone');
byId('release').querySelector(`[value=${phone.release.anonymous ? 'today' : 'before'}]`).checked = true;
follow();
if (!phone.isNew) phone.see(0);
