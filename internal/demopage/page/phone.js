// The phone and the person who holds it: two mini-programs, each with an appid and a storage of its own.

import { all } from './dom.js';
import { launch } from './miniprogram.js';
import { closeDialog, draw, listen } from './screen.js';
import { onLanguage } from './words.js';

const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];
const PERSON = 'person';
const RELEASE = 'release';

// createPhone returns the phone. onChange is called after each change of what it shows, onError with a fault in its code.
export function createPhone({ onChange, onError }) {
  const isNew = !sessionStorage.getItem(PERSON);
  const release = { anonymous: sessionStorage.getItem(RELEASE) !== 'before' };
  const closed = { view: { screen: 'closed' }, act: open, loggedIn: () => false, denied() {}, settled() {} };
  let apps = []; // by number: what runs
  let number = 0; // of the mini-program that is seen
  let answers = 0;
  const app = () => apps[number] || closed;
  const person = () => sessionStorage.getItem(PERSON);
  const storageOf = (index) => createStorage(`phone/${person()}/${APP_IDS[index]}/`);

  function another() {
    apps = [];
    sessionStorage.setItem(PERSON, 'p-' + crypto.randomUUID().slice(0, 13));
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
    return pathname.startsWith('/avatars/') ? pathname : `/phones/${person()}/face`;
  }

  // open launches the mini-program that is seen, if it does not run.
  function open() {
    apps[number] ||= launch({
      base: `${location.origin}/phones/${person()}`, person: person(), appId: APP_IDS[number], release, storage: storageOf(number),
      fetch: countingFetch, onChange: show, onError,
    });
    show();
    return app().started;
  }

  function see(index) {
    closeDialog();
    number = index;
    return open();
  }

  // forget is called for mini-programs that are opened as for the first time then.
  function forget(...indexes) {
    for (const index of indexes) {
      apps[index] = undefined;
      storageOf(index).clear();
    }
  }

  if (isNew) another();
  const act = (name, allow) => app().act(name, allow);
  listen(act);
  onLanguage(show);
  return {
    app,
    act,
    see,
    another,
    isNew,
    person,
    appId: () => APP_IDS[number],
    release,
    answers: () => answers,

    setRelease(name) {
      release.anonymous = name !== 'before';
      sessionStorage.setItem(RELEASE, name);
    },

    restart(index = number) {
      forget(index);
      return see(index);
    },

    // fresh is a new phone of the same person.
    fresh() {
      forget(0, 1);
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
      for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
    },
  };
}
