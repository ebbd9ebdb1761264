// The page: which part is told of what.

import { all, byId, onClick } from './dom.js';
import { createFaults } from './faults.js';
import { createLog } from './log.js';
import { createPhone } from './phone.js';
import { enterName, offerName } from './screen.js';
import { createStorage } from './storage.js';
import { createWire } from './wire.js';
import { onLanguage, say, startSpeaking } from './words.js';

const PLAYED = 'played';
const secrets = byId('secrets');
const addressOf = (path) => `/phones/${phone.person()}/${path}`;
let unread = 0;

const log = createLog({ curlOf: ({ exchange }) => addressOf(`curl/${exchange}`) });
const storage = createStorage({
  address: () => addressOf(secrets.checked ? 'state?secrets=show' : 'state'),
  onState: ({ nickName }) => offerName(nickName),
});
const phone = createPhone({ onChange: showSteps, onError: (err) => log.addError(err.message) });
const wire = createWire({
  onItem(item) {
    log.add(item);
    if (item.type === 'note') storage.refresh();
    showUnread(document.body.dataset.tab === 'network' ? 0 : unread + 1);
  },
  onAnswer(item) {
    log.answered(item);
    if (item.kind === 'http' || item.kind === 'push') storage.refresh();
  },
  onClear() {
    log.clear();
    showUnread(0);
  },
  onGone(isGone) {
    const sentence = byId('gone').firstElementChild;
    if (!isGone && !sentence.hidden) storage.refresh();
    sentence.hidden = !isGone;
  },
});
const faults = createFaults({
  phone,
  wire,
  onTold(items) {
    sessionStorage.setItem(PLAYED, phone.person());
    log.show(items);
    showSteps();
  },
  onShow(items) {
    openTab('network');
    log.show(items);
    byId('log').focus({ preventScroll: true });
  },
});

// The parts of the page are tabs if the screen is narrow.
function openTab(name) {
  document.body.dataset.tab = name;
  for (const button of all('button[data-tab]')) button.ariaPressed = button.dataset.tab === name;
  showUnread(name === 'network' ? 0 : unread);
}

function showUnread(number) {
  unread = number;
  byId('unread').hidden = !unread;
  byId('unread').textContent = unread;
}

// The steps of the beginning: the first one that is not done is the page's primary action.
const steps = [
  { isDone: () => phone.app().loggedIn(), act: () => phone.act(phone.app().view.screen === 'closed' ? 'open' : 'login') },
  { isDone: () => phone.app().view.complete, act: fillIn },
  { isDone: () => sessionStorage.getItem(PLAYED) === phone.person(), act: breakKey },
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
  if (phone.app().view.screen !== 'profile') await phone.act('profile');
  await phone.act('avatar', true);
  enterName();
  await phone.act('save');
}

// breakKey shows what happened beside the button that was pressed, or else beside the one of this fault.
function breakKey() {
  const isNarrow = matchMedia('(max-width: 899px)').matches;
  return faults.start('newkey', byId(isNarrow ? 'start' : 'newkey-is'));
}

function follow() {
  wire.follow(phone.person(), secrets.checked);
  storage.forget();
}

// What changes the phone or its person ends the story, and has to wait while a fault is played.
for (const [selector, change] of Object.entries({
  '[data-app]': ({ dataset }) => phone.see(Number(dataset.app)),
  '#fresh': () => phone.fresh(),
  '#another': () => {
    phone.another();
    follow();
    phone.see(0);
  },
  '#release input': ({ value }) => phone.setRelease(value),
})) {
  onClick(selector, (element, event) => {
    if (faults.playing()) return event.preventDefault();
    faults.forget();
    return change(element);
  });
}
onClick('#next', () => {
  if (faults.playing()) return;
  log.follow();
  steps.find(({ isDone }) => !isDone()).act();
});
onClick('#screen', log.follow);
onClick('#clear', log.clear);
onClick('button[data-tab]', ({ dataset }) => openTab(dataset.tab));
secrets.addEventListener('change', follow);

function showTime() {
  byId('clock').textContent = new Date().toTimeString().slice(0, 5);
}

onLanguage(showSteps);
startSpeaking();
showTime();
setInterval(showTime, 10000);
openTab('phone');
byId('release').querySelector(`[value=${phone.release.anonymous ? 'today' : 'before'}]`).checked = true;
follow();
if (!phone.isNew) phone.see(0);
