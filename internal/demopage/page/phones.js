// The phone and who holds it: two mini-programs, each with an appid, a storage and a running app of its own.

const APP_IDS = ['wx000000000000demo', 'wx000000000001demo'];
const HOME = JSON.parse(globalThis.bundles.miniprogram.texts.get('app.json')).pages[0];
const PERSON = 'person';
const RELEASE = 'release';

const modules = new Map();
const { createWx } = requirePhone('./wx.js');
const { startApp } = requirePhone('./app.js');
const { show } = requirePhone('./screen.js');

// requirePhone is the require of the phone's own modules, which lie side by side.
function requirePhone(path) {
  if (!modules.has(path)) {
    const module = { exports: {} };
    modules.set(path, module);
    globalThis.bundles.phone.factories.get(path.slice('./'.length))(requirePhone, module, module.exports);
  }
  return modules.get(path).exports;
}

// createPhone puts the phone into the container. onError gets what the code of the mini-program throws.
export function createPhone({ container, onError }) {
  let person = sessionStorage.getItem(PERSON) || someone();
  let open = 0; // which of the mini-programs is seen
  let nickName = '';
  let answers = 0;
  let screen;
  const running = [];
  const release = { anonymous: sessionStorage.getItem(RELEASE) !== 'before' };

  function someone() {
    const name = 'p-' + crypto.randomUUID().slice(0, 13);
    sessionStorage.setItem(PERSON, name);
    return name;
  }

  async function countingFetch(...args) {
    const res = await fetch(...args);
    answers++;
    return res;
  }

  function start(index) {
    const base = `${location.origin}/phones/${person}`;
    const storage = createStorage(`phone/${person}/${APP_IDS[index]}/`);
    const { wx, device } = createWx({
      simulator: base + '/wechat', user: person, appId: APP_IDS[index], release, storage, loggedIn: holdsToken(storage),
      fetch: countingFetch,
    });
    const { factories, texts } = globalThis.bundles.miniprogram;
    const config = (_, module) => { module.exports = { server: base + '/server' }; };
    const bundle = { factories: new Map([...factories, ['config.js', config]]), texts };
    const onChange = () => {
      if (screen && running[open]?.device === device) screen.update();
    };
    device.confirm = (question) => screen.ask(question);
    running[index] = { device, storage, app: startApp({ bundle, wx, device, onChange, onError }) };
  }

  function see(index) {
    if (screen) screen.close();
    screen = undefined;
    open = index;
    if (!running[index]) start(index);
    const { app, device } = running[index];
    screen = show(container, app, device, {
      texts: globalThis.bundles.miniprogram.texts, face: `/phones/${person}/face`, nickName: () => nickName,
    });
  }

  function stop(index) {
    if (!running[index]) return;
    running[index].app.stop();
    running[index] = undefined;
  }

  // restart opens a mini-program anew, as for the first time.
  function restart(index) {
    stop(index);
    createStorage(`phone/${person}/${APP_IDS[index]}/`).clear();
    see(index);
  }

  return {
    see,
    restart,
    app: () => running[open].app,
    atHome: () => running[open].app.page().route === HOME,
    openIndex: () => open,
    person: () => person,
    release,
    answers: () => answers,
    loggedIn: () => holdsToken(running[open].storage),
    closeDialog: () => screen.closeDialog(),
    setNickName(name) { nickName = name; },

    setRelease(name) {
      release.anonymous = name !== 'before';
      sessionStorage.setItem(RELEASE, name);
    },

    // fresh is a new phone of the same person.
    fresh() {
      APP_IDS.forEach((_, index) => stop(index));
      APP_IDS.forEach((appID) => createStorage(`phone/${person}/${appID}/`).clear());
      see(0);
    },

    another() {
      APP_IDS.forEach((_, index) => stop(index));
      person = someone();
      see(0);
    },
  };
}

const holdsToken = (storage) => Boolean(storage.get('wxlogin')?.token);

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
