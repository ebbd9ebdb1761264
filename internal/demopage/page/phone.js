// The phone and the person who holds it: two mini-programs, each with an appid and a storage of its own.

import { all, byId } from './dom.js';
import { launch } from './miniprogram.js';
import { closeDialog, draw, listen } from './screen.js';
import { onLanguage } from './words.js';

const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];
const PERSON = 'person';
const RELEASE = 'release';
const CLOSED = { view: { screen: 'closed' }, loggedIn: () => false, denied: () => {}, settled: () => {} };

// createPhone returns the phone. onChange is called after each change of what it shows, onError with a fault in its code.
export function createPhone({ onChange, onError }) {
  const apps = []; // by number: what runs
  const isNew = !sessionStorage.getItem(PERSON);
  let person = sessionStorage.getItem(PERSON);
  let number = 0; // of the mini-program that is seen
  let nickName = ''; // that WeChat knows
  let answers = 0;
  const release = { anonymous: sessionStorage.getItem(RELEASE) !== 'before' };
  const app = () => apps[number] || CLOSED;
  const storageOf = (index) => createStorage(`phone/${person}/${APP_IDS[index]}/`);

  function another() {
    apps.length = 0;
    person = 'p-' + crypto.randomUUID().slice(0, 13);
    sessionStorage.setItem(PERSON, person);
  }

  async function countingFetch(...args) {
    const res = await fetch(...args);
    answers++;
    return res;
  }

  function show() {
    draw(app().view, pictureOf);
    for (const button of all('[data-app]')) button.ariaPressed = Number(button.dataset.app) === number;
    onChange();
  }

  // pictureOf returns the page's own address of an avatar: nothing is requested from WeChat.
  function pictureOf(avatarUrl) {
    const { pathname } = new URL(avatarUrl);
    return pathname.startsWith('/avatars/') ? pathname : `/phones/${person}/face`;
  }

  // open launches the mini-program that is seen, if it does not run.
  function open() {
    const index = number;
    apps[index] ||= launch({
      base: `${location.origin}/phones/${person}`, person, appId: APP_IDS[index], release, storage: storageOf(index),
      fetch: countingFetch, onChange: show, onError,
    });
    show();
    return apps[index].started;
  }

  function see(index) {
    closeDialog();
    number = index;
    return open();
  }

  // forget is called for a mini-program that is opened as for the first time then.
  function forget(index) {
    apps[index] = undefined;
    storageOf(index).clear();
  }

  const act = (name, allow) => (name === 'open' ? open() : app().act(name, allow));

  if (isNew) another();
  listen(act, () => nickName);
  onLanguage(show);
  return {
    act,
    see,
    another,
    isNew,
    closeDialog,
    person: () => person,
    number: () => number,
    release,
    answers: () => answers,
    view: () => app().view,
    loggedIn: () => app().loggedIn(),
    denied: () => app().denied(),
    settled: () => app().settled(),
    enterName: () => { byId('nickname').value = nickName; },
    setNickName(name) { nickName = name; },

    setRelease(name) {
      release.anonymous = name !== 'before';
      sessionStorage.setItem(RELEASE, name);
    },

    restart(index) {
      forget(index);
      return see(index);
    },

    // fresh is a new phone of the same person.
    fresh() {
      APP_IDS.forEach((_, index) => forget(index));
      return see(0);
    },
  };
}

// createStorage is a mini-program's storage, which outlives a reload of the page: a Map in sessionStorage.
function createStorage(prefix) {
  return {
    has: (key) => sessionStorage.getItem(prefix + key) !== null,
    get: (key) => JSON.parse(sessionStorage.getItem(prefix + key)) ?? undefined,
    set: (key, value) => sessionStorage.setItem(prefix + key, JSON.stringify(value)),
    delete: (key) => sessionStorage.removeItem(prefix + key),
    clear() {
      for (const key of Object.keys(sessionStorage)) {
        if (key.startsWith(prefix)) sessionStorage.removeItem(key);
      }
    },
  };
}
