// A mini-program as it runs on the phone: the example's login client, unchanged, and what its buttons do with it.

import { byId } from './dom.js';
import { ask, toast } from './screen.js';

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

// launch starts a mini-program, which logs in silently. base is the address of its phone at the demo; onChange is called
// after each change of its view, onError with a fault in its code.
export function launch({ base, person, appId, release, storage, fetch, onChange, onError }) {
  const { wx, device } = createWx({
    simulator: base + '/wechat', user: person, appId, release, storage, loggedIn: holdsToken(storage), fetch,
  });
  const view = { screen: 'home', state: 'loading', user: {}, busy: '' };
  let running; // what is being done, or was
  let denied; // what WeChat's API said when the person refused
  let given; // the answer to the next dialog, which is not shown then

  const { getUserInfo } = wx;
  wx.getUserInfo = async (options) => { // releases from before 2021 ask first
    const allowed = given ?? (release.anonymous || await ask('askSync'));
    denied = 'getUserInfo:fail auth deny';
    return allowed ? getUserInfo(options) : options.fail({ errMsg: denied });
  };
  const client = load('wxlogin.js', wx);
  client.setup({ server: base + '/server' });

  function show(changes) {
    Object.assign(view, changes);
    onChange();
  }

  // run does one thing at a time, and shows why it failed.
  async function run(name, work) {
    if (view.busy) return;
    show({ busy: name, problem: null, ...(name === 'login' && { state: 'loading', deleted: false }) });
    running = work().catch((problem) => fail(name, problem)).then(() => show({ busy: '' }));
    await running;
  }

  function fail(name, problem) {
    if (!problem.code) onError(problem);
    if (name === 'login') view.state = problem.code === 'logged_out' ? 'loggedOut' : 'failed';
    if (problem.code === 'logged_out') view.screen = 'home';
    else if (name !== 'avatar' || problem.code !== 'refused') view.problem = { ...problem, explained: explain(problem) };
    if (problem.code === 'file_gone') view.chosen = '';
  }

  // take shows what a response says of the user.
  function take({ userInfo, profileComplete, phoneNumber }) {
    Object.assign(view, { state: 'ready', user: userInfo, complete: profileComplete, number: phoneNumber });
    if (view.screen === 'profile' && !profileComplete) openForm();
  }

  function openForm(placeholder = false) {
    if (!view.editing) byId('nickname').value = view.user.nickName;
    show({ editing: true, chosen: '', placeholder });
  }

  const logIn = (silent) => run('login', async () => take(await client.login({ silent })));

  function go(screen) {
    Object.assign(view, { screen, problem: null, editing: false });
    return logIn(true);
  }

  const leave = () => Object.assign(view, { screen: 'home', state: 'loggedOut', user: {}, number: '', complete: false });

  let avatarFile; // the temporary file that was chosen

  // What the buttons do.
  const deeds = {
    login: () => logIn(false),
    profile: () => go('profile'),
    back: () => go('home'),
    edit: () => openForm(),
    refresh: () => run('refresh', async () => {
      take(await client.request({ url: '/userInfo' }));
      toast('refreshed');
    }),
    avatar: () => run('avatar', async () => {
      const allowed = given ?? await ask('askAvatar', base + '/face');
      avatarFile = await client.chosenAvatar(allowed ? await device.chooseAvatar() : {});
      const { bytes, type } = device.fileOf(avatarFile);
      view.chosen = URL.createObjectURL(new Blob([bytes], { type }));
    }),
    save: () => run('save', async () => {
      const nickName = byId('nickname').value.trim();
      const answer = await client.saveProfile({ nickName, avatarFile: view.chosen ? avatarFile : '' });
      view.editing = false;
      take(answer);
      if (answer.profileComplete) toast('saved');
      else view.problem = { text: answer.userInfo.nickName ? 'stillNoPicture' : 'stillNoName' };
    }),
    sync: () => run('sync', async () => {
      const answer = await client.updateUserInfo();
      view.editing = false;
      take(answer);
      if (answer.anonymous) openForm(true);
      else toast('synced');
    }),
    phone: () => run('phone', async () => {
      const deny = !(given ?? await ask('askPhone'));
      const detail = await device.getPhoneNumber({ deny, old: !release.anonymous });
      view.number = (await client.bindPhone(detail)).phoneNumber;
    }),
    logout: () => run('logout', async () => {
      await client.logout().catch(() => {}); // the phone forgets the token, even if the server cannot be told
      leave();
    }),
    unbind: () => run('unbind', async () => {
      if (given ?? await ask('askUnbind')) view.number = (await client.unbindPhone()).phoneNumber;
    }),
    delete: () => run('delete', async () => {
      if (!(given ?? await ask('askDelete'))) return;
      await client.deleteAccount();
      leave();
      view.deleted = true;
    }),
  };

  // act does what the button of that name does. allow answers the dialog.
  async function act(name, allow) {
    given = allow;
    await deeds[name]();
    given = undefined;
  }

  const started = logIn(true);
  return { view, act, started, settled: () => running, denied: () => denied, loggedIn: () => holdsToken(storage) };
}

const holdsToken = (storage) => Boolean(storage.get('wxlogin')?.token);
