// The page: who tells whom.

import { byId } from './dom.js';
import { createFaults } from './faults.js';
import { createLog } from './log.js';
import { createPhone } from './phones.js';
import { createStorage } from './storage.js';
import { createWire } from './wire.js';
import { onLanguage, preferredLanguage, rememberLanguage, say, translate, useLanguage } from './words.js';

useLanguage(preferredLanguage());

const log = createLog();
const storage = createStorage({ onState: ({ person }) => phone.setNickName(person.nickName) });
const phone = createPhone({ container: byId('screen'), onError: (err) => log.addError(err.message) });
const wire = createWire({ onEvent, onClear: log.clear, onGone });
const busy = createBusy();
const faults = createFaults({ phone, wire, busy, onShown: showOpen });

let gone = false;

// What is stored changes until wxlogin answers, and by faults.
function onEvent(event) {
  log.add(event);
  const answered = event.kind === 'http' && event.type === 'answer';
  if (answered || event.type === 'note') storage.refresh();
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

// createBusy lets one thing be played at a time. Buttons that have to wait keep the focus that they may have.
function createBusy() {
  let playing = false;
  function set(now) {
    playing = now;
    for (const control of document.querySelectorAll('[data-fault], [data-app], #fresh, #another, #release input')) {
      if (now) control.setAttribute('aria-disabled', 'true');
      else control.removeAttribute('aria-disabled');
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

// showOpen marks the mini-program that is seen.
function showOpen() {
  for (const button of document.querySelectorAll('[data-app]')) {
    button.setAttribute('aria-pressed', Number(button.dataset.app) === phone.openIndex());
  }
}

function follow() {
  faults.forget();
  wire.follow(phone.person());
  storage.follow(phone.person());
  showOpen();
}

function onClick(selector, listener) {
  for (const element of document.querySelectorAll(selector)) {
    element.addEventListener('click', (event) => {
      if (busy.playing()) event.preventDefault();
      else listener(element);
    });
  }
}

onClick('[data-app]', ({ dataset }) => {
  phone.see(Number(dataset.app));
  showOpen();
});
onClick('#fresh', () => {
  phone.fresh();
  showOpen();
});
onClick('#another', () => {
  phone.another();
  follow();
});
onClick('#release input', ({ value }) => phone.setRelease(value));
byId('clear').addEventListener('click', log.clear);
for (const button of document.querySelectorAll('[data-language]')) {
  button.addEventListener('click', () => {
    rememberLanguage(button.dataset.language);
    useLanguage(button.dataset.language);
  });
}

function showTime() {
  byId('clock').textContent = new Date().toTimeString().slice(0, 5);
}

onLanguage(translate);
onLanguage(showGone);
showTime();
setInterval(showTime, 10000);
document.querySelector(`#release [value=${phone.release.anonymous ? 'today' : 'before'}]`).checked = true;
follow();
phone.see(0);
