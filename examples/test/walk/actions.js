// What the user does, what goes wrong, and how likely each is: a name is as often in a list of weights as it is likely.

const {
  logIn, logInSilently, logInFresh, ask, update, unbind, download, takeToken, logOut, logOutEverywhere, deleteAccount,
} = require('../session.js');

const HOUR = 3600; // seconds

// What a gateway answers, whatever is tried.
const REFUSES = { statusCode: 401, data: { action: 'relogin' }, header: {} };
const OVERLOADED = { statusCode: 503, data: { action: 'retry' }, header: { 'Retry-After': '3' } };

const picture = async ({ device }) => (await device.chooseAvatar()).avatarUrl;

const actions = {
  login: logIn,
  resume: logInSilently,
  loginFresh: logInFresh,
  refresh: ask,
  sync: update,
  download,
  token: takeToken,
  refuseToken: ({ client, token }) => client.token({ refused: token() }),
  rename: ({ client }, random) => client.saveProfile({ nickName: `第${random.below(1000)}号` }),
  picture: async (phone) => phone.client.saveProfile({ avatarFile: await picture(phone) }),
  fillIn: async (phone) => phone.client.saveProfile({ nickName: '小明', avatarFile: await picture(phone) }),
  bindPhone: async ({ client, device }) => client.bindPhone(await device.getPhoneNumber()),
  bindOldPhone: async ({ client, device }) => client.bindPhone(await device.getPhoneNumber({ old: true })),
  bindTwice: async ({ client, device }) => {
    const detail = await device.getPhoneNumber();
    await client.bindPhone(detail);
    await client.bindPhone(detail);
  },
  unbindPhone: unbind,
  logout: logOut,
  logoutEverywhere: logOutEverywhere,
  deleteAccount,
};

/** createFaults returns what goes wrong, for a mini-program or the whole phone. inject makes the demo's page cause it. */
function createFaults({ inject, time, random }) {
  const breaking = (name, value) => async ({ network }) => { network[name] = value(); };
  return {
    ...Object.fromEntries(['newkey', 'expire', 'codetwice', 'busy'].map((kind) => [kind, () => inject(kind)])),
    away: breaking('away', () => true),
    lost: breaking('lose', () => 1 + random.below(2)),
    silent: breaking('silent', () => 1 + random.below(3)),
    mute: breaking('mute', () => 1 + random.below(2)),
    speechless: breaking('speechless', () => 1 + random.below(3)),
    refusing: breaking('gateway', () => REFUSES),
    overloaded: breaking('gateway', () => OVERLOADED),
    relaunch: async (miniprogram) => miniprogram.start(),
    reinstall: async (miniprogram) => { miniprogram.clear(); miniprogram.start(); },
    later: async () => time.pass(HOUR * random.below(10 * 24)),
    clockSetBack: async () => time.pass(-HOUR * random.below(10 * 24)),
  };
}

const often = ['login', 'login', 'resume', 'resume', 'loginFresh', 'refresh', 'refresh', 'sync', 'sync', 'download', 'token',
  'refuseToken', 'rename', 'picture', 'fillIn', 'bindPhone', 'bindOldPhone', 'bindTwice', 'unbindPhone'];

const weights = {
  actions: [...often, ...often, ...often, 'logout', 'logoutEverywhere', 'deleteAccount', 'deleteAccount'],
  betweenBursts: ['relaunch', 'relaunch', 'reinstall', 'later', 'clockSetBack'], // nothing of an earlier launch is under way then
  anyTime: ['newkey', 'newkey', 'newkey', 'expire', 'expire', 'expire', 'codetwice', 'codetwice', 'busy', 'busy',
    'away', 'lost', 'silent', 'mute', 'speechless', 'refusing', 'overloaded'],
};

module.exports = { actions, createFaults, weights };
