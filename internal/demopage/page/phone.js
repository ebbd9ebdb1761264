// The phone and the person who holds it: two mini-programs, each with an appid, a storage and a login client of its own.

import { all, byId } from './dom.js';
import { isChinese, knows, onLanguage, say } from './words.js';

const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];
const PERSON = 'person';
const RELEASE = 'release';
const TOAST_DURATION = 1500; // milliseconds, as in WeChat

// load runs one of the bundle's CommonJS modules with a wx object.
function load(name, wx) {
  const loaded = new Map();
  function require(path) {
    const file = path.split('/').pop();
    const module = loaded.get(file) || { exports: {} };
    if (!loaded.has(file)) {
      loaded.set(file, module);
      globalThis.modules[file](require, module, module.exports, wx);
    }
    return module.exports;
  }
  return require(name);
}

const { createWx } = load('wx.js');
const { explain } = load('texts.js');

// createPhone shows the phone. onChange is called after each change of what it shows, onError with a fault in its code.
export function createPhone({ onChange, onError }) {
  const screen = byId('screen');
  const apps = []; // by number: what runs
  let person = sessionStorage.getItem(PERSON);
  const isNew = !person;
  let number = 0; // of the mini-program that is seen
  let nickName = ''; // that WeChat knows
  let answers = 0;
  let toastTimer;
  let answerDialog = () => {};
  const release = { anonymous: sessionStorage.getItem(RELEASE) !== 'before' };
  if (!person) beSomeone();

  function beSomeone() {
    person = 'p-' + crypto.randomUUID().slice(0, 13);
    sessionStorage.setItem(PERSON, person);
  }

  async function countingFetch(...args) {
    const res = await fetch(...args);
    answers++;
    return res;
  }

  const storageOf = (index) => createStorage(`phone/${person}/${APP_IDS[index]}/`);
  const app = () => apps[number] || { view: { screen: 'closed' } };

  // start begins a mini-program as a launch does: its login is silent.
  function start(index) {
    const base = `${location.origin}/phones/${person}`;
    const storage = storageOf(index);
    const { wx, device } = createWx({
      simulator: base + '/wechat', user: person, appId: APP_IDS[index], release, storage,
      loggedIn: Boolean(storage.get('wxlogin')?.token), fetch: countingFetch,
    });
    const started = { storage, device, view: { screen: 'home', state: 'loading', user: {}, busy: '' } };
    const { getUserInfo } = wx;
    wx.getUserInfo = async (options) => { // releases from before 2021 ask first
      const allowed = started.allow ?? (release.anonymous || await ask('askSync'));
      if (allowed) getUserInfo(options);
      else options.fail({ errMsg: started.denied = 'getUserInfo:fail auth deny' });
    };
    started.client = load('wxlogin.js', wx);
    started.client.setup({ server: base + '/server' });
    apps[index] = started;
    return logIn(started, true);
  }

  function logIn(one, silent) {
    return run(one, 'login', async () => take(one, await one.client.login({ silent })));
  }

  // take shows what a response says of the user.
  function take(one, { userInfo, profileComplete, phoneNumber }) {
    Object.assign(one.view, { state: 'ready', user: userInfo, complete: profileComplete, number: phoneNumber });
    if (one.view.screen === 'profile' && !profileComplete) openForm(one);
  }

  function openForm({ view }) {
    if (!view.editing) byId('nickname').value = view.user.nickName;
    Object.assign(view, { editing: true, chosen: '', placeholder: false });
  }

  // run does one thing at a time in a mini-program, and shows why it failed.
  async function run(one, name, work) {
    const { view } = one;
    if (view.busy) return;
    let done;
    one.running = new Promise((resolve) => { done = resolve; });
    Object.assign(view, { busy: name, problem: null, state: name === 'login' ? 'loading' : view.state });
    draw();
    try {
      await work();
    } catch (problem) {
      if (!problem.code) onError(problem);
      if (name === 'login') view.state = problem.code === 'logged_out' ? 'loggedOut' : 'failed';
      if (problem.code === 'logged_out') view.screen = 'home';
      else if (name !== 'avatar' || problem.code !== 'refused') view.problem = problem;
    }
    view.busy = '';
    draw();
    done();
  }

  // What the buttons of the phone do. allow is the answer to WeChat's dialog, which is not shown then.
  const deeds = {
    open: () => start(number),
    login: (one) => logIn(one, false),
    refresh: (one) => run(one, 'refresh', async () => {
      take(one, await one.client.request({ url: '/userInfo' }));
      toast('refreshed');
    }),
    profile(one) {
      Object.assign(one.view, { screen: 'profile', problem: null, editing: false });
      return logIn(one, true);
    },
    back(one) {
      Object.assign(one.view, { screen: 'home', problem: null, editing: false });
      return logIn(one, true);
    },
    edit(one) {
      openForm(one);
      draw();
    },
    avatar: (one, allow) => run(one, 'avatar', async () => {
      const chosen = allow ?? await ask('askAvatar', `/phones/${person}/face`);
      one.view.chosen = await one.client.chosenAvatar(chosen ? await one.device.chooseAvatar() : {});
    }),
    save: (one) => run(one, 'save', async () => {
      const name = byId('nickname').value.trim();
      const answer = await one.client.saveProfile({ nickName: name, avatarFile: one.view.chosen });
      Object.assign(one.view, { editing: false });
      take(one, answer);
      if (answer.profileComplete) toast('saved');
      else one.view.problem = { text: answer.userInfo.nickName ? 'stillNoPicture' : 'stillNoName' };
    }),
    sync: (one) => run(one, 'sync', async () => {
      const answer = await one.client.updateUserInfo();
      Object.assign(one.view, { editing: false });
      take(one, answer);
      if (answer.anonymous) {
        openForm(one);
        one.view.placeholder = true;
      } else {
        toast('synced');
      }
    }),
    phone: (one, allow) => run(one, 'phone', async () => {
      const deny = !(allow ?? await ask('askPhone'));
      const detail = await one.device.getPhoneNumber({ deny, old: !release.anonymous });
      if (deny) one.denied = detail.errMsg;
      one.view.number = (await one.client.bindPhone(detail)).phoneNumber;
    }),
    logout: (one) => run(one, 'logout', async () => {
      await one.client.logout().catch(() => {}); // the phone forgets the token, even if the server cannot be told
      Object.assign(one.view, { screen: 'home', state: 'loggedOut', user: {}, number: '' });
    }),
  };

  async function act(name, allow) {
    const one = app();
    one.allow = allow;
    await deeds[name](one, allow);
    one.allow = undefined;
  }

  // ask shows a dialog of WeChat, and resolves with whether the person allows it. What is below cannot be reached meanwhile.
  function ask(question, face) {
    const before = document.activeElement;
    const dialog = byId('dialog');
    for (const [id, name] of [['question', question], ['allow', question + 'Yes'], ['deny', question + 'No']]) {
      byId(id).textContent = say(name);
    }
    dialog.ariaLabel = say(question);
    byId('face').hidden = !face;
    if (face) byId('face').src = face;
    screen.firstElementChild.inert = true;
    dialog.hidden = false;
    byId('allow').focus({ preventScroll: true });
    return new Promise((resolve) => {
      answerDialog = (allowed) => {
        const had = dialog.contains(document.activeElement) || document.activeElement === document.body;
        screen.firstElementChild.inert = false;
        dialog.hidden = true;
        answerDialog = () => {};
        if (had) before.focus({ preventScroll: true });
        resolve(allowed);
      };
    });
  }

  function toast(name) {
    byId('toast').textContent = say(name);
    byId('toast').hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { byId('toast').hidden = true; }, TOAST_DURATION);
  }

  function draw() {
    const { view } = app();
    const { state, user = {} } = view;
    const had = screen.contains(document.activeElement);
    const shown = {
      [view.screen]: true, [state]: true, picture: user.avatarUrl, editing: view.editing, notEditing: !view.editing,
      number: view.number, chosen: view.chosen, placeholder: view.placeholder, problem: view.problem,
      noPicture: !user.avatarUrl, noNumber: !view.number,
    };
    for (const element of all('[data-show]', screen)) {
      element.hidden = !element.dataset.show.split(' ').every((name) => shown[name]);
    }
    for (const image of all('[data-show=picture]', screen)) if (user.avatarUrl) image.src = pictureOf(user.avatarUrl);
    if (view.chosen) byId('chosen').src = URL.createObjectURL(blobOf(app().device.fileOf(view.chosen)));
    for (const button of all('.page button', screen)) button.ariaDisabled = view.busy ? 'true' : null;
    write(view);
    for (const button of all('[data-app]')) button.ariaPressed = Number(button.dataset.app) === number;
    if (had && document.activeElement.closest('[hidden]')) {
      all('.page button', screen).find((button) => !button.closest('[hidden]'))?.focus({ preventScroll: true });
    }
    onChange();
  }

  // pictureOf returns the page's own address of an avatar: nothing is requested from WeChat.
  function pictureOf(avatarUrl) {
    const { pathname } = new URL(avatarUrl);
    return pathname.startsWith('/avatars/') ? pathname : `/phones/${person}/face`;
  }

  function write({ screen: name, state, user = {}, complete, number: phoneNumber, problem }) {
    const greetings = { loading: 'loggingIn', failed: 'notLoggedIn', loggedOut: 'youLoggedOut' };
    const hints = { ready: complete ? 'autoLogin' : 'autoLoginNew', loggedOut: 'loginKeeps' };
    byId('title').textContent = say(name === 'profile' ? 'myProfile' : 'appName');
    byId('greeting').textContent = say(greetings[state] || 'hello', { name: user.nickName || say('newFriend') });
    byId('greeting-hint').textContent = hints[state] ? say(hints[state]) : '';
    byId('name').textContent = user.nickName || say('noName');
    byId('complete').textContent = say(complete ? 'complete' : 'incompleteProfile');
    byId('number').textContent = say('number', { number: phoneNumber });
    for (const element of all('.problem', screen)) element.textContent = problem ? sentenceOf(problem) : '';
    byId('offer').textContent = say('useName', { name: nickName });
  }

  screen.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-tap]');
    if (button) act(button.dataset.tap);
  });
  byId('form').addEventListener('submit', (event) => {
    event.preventDefault();
    act('save');
  });
  byId('allow').addEventListener('click', () => answerDialog(true));
  byId('deny').addEventListener('click', () => answerDialog(false));
  byId('dialog').addEventListener('keydown', ({ key }) => { if (key === 'Escape') answerDialog(false); });
  const input = byId('nickname');
  input.addEventListener('focus', () => { byId('offer').hidden = !nickName || input.value === nickName; });
  byId('form').addEventListener('focusout', ({ relatedTarget }) => {
    if (relatedTarget !== byId('offer') && relatedTarget !== input) byId('offer').hidden = true;
  });
  byId('offer').addEventListener('pointerdown', (event) => event.preventDefault()); // the input keeps the focus
  byId('offer').addEventListener('click', () => {
    input.value = nickName;
    input.focus({ preventScroll: true });
    byId('offer').hidden = true;
  });
  onLanguage(draw);

  function see(index) {
    answerDialog(false);
    number = index;
    draw();
    return apps[index] ? Promise.resolve() : start(index);
  }

  // restart opens a mini-program as for the first time. What still runs of the one before is seen no more.
  function restart(index) {
    apps[index] = undefined;
    storageOf(index).clear();
    return see(index);
  }

  return {
    act,
    see,
    restart,
    isNew,
    person: () => person,
    number: () => number,
    release,
    answers: () => answers,
    view: () => app().view,
    loggedIn: () => Boolean(apps[number]?.storage.get('wxlogin')?.token),
    settled: () => apps[number]?.running,
    denied: () => app().denied,
    closeDialog: () => answerDialog(false),
    enterName: () => { input.value = nickName; },
    setNickName(name) { nickName = name; },

    setRelease(name) {
      release.anonymous = name !== 'before';
      sessionStorage.setItem(RELEASE, name);
    },

    // fresh is a new phone of the same person.
    fresh() {
      APP_IDS.forEach((_, index) => { apps[index] = undefined; storageOf(index).clear(); });
      return see(0);
    },

    another() {
      apps.length = 0;
      beSomeone();
    },
  };
}

const blobOf = ({ bytes, type }) => new Blob([bytes], { type });

function sentenceOf(problem) {
  if (problem.text) return say(problem.text);
  if (isChinese()) return explain(problem);
  const name = 'problem_' + problem.code;
  return say(knows(name) ? name : 'problem_other', { ...problem, seconds: problem.retryAfter });
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
