// What the user does, what goes wrong, and how likely each is: a name is as often in a list of weights as it is likely.

const HOUR = 3600; // seconds

// What a gateway answers, whatever is tried.
const REFUSES = { statusCode: 401, data: { action: 'relogin' }, header: {} };
const OVERLOADED = { statusCode: 503, data: { action: 'retry' }, header: { 'Retry-After': '3' } };

const actions = {
  login: ({ client }) => client.login(),
  resume: ({ client }) => client.login({ silent: true }),
  refresh: ({ client }) => client.request({ url: '/userInfo' }),
  sync: ({ client }) => client.updateUserInfo(),
  rename: ({ client }, random) => client.saveProfile({ nickName: `第${random.below(1000)}号` }),
  picture: async ({ client, device }) => client.saveProfile({ avatarFile: (await device.chooseAvatar()).avatarUrl }),
  fillIn: async ({ client, device }) => (
    client.saveProfile({ nickName: '小明', avatarFile: (await device.chooseAvatar()).avatarUrl })),
  bindPhone: async ({ client, device }) => client.bindPhone(await device.getPhoneNumber()),
  bindOldPhone: async ({ client, device }) => client.bindPhone(await device.getPhoneNumber({ old: true })),
  bindTwice: async ({ client, device }) => {
    const detail = await device.getPhoneNumber();
    await client.bindPhone(detail);
    await client.bindPhone(detail);
  },
  logout: ({ client }) => client.logout(),
  logoutEverywhere: ({ client }) => client.logout({ everywhere: true }),
};

/** createFaults returns what goes wrong, for a mini-program or the whole phone. inject makes the demo's page cause it. */
function createFaults({ inject, time, random }) {
  return {
    newkey: () => inject('newkey'),
    expire: () => inject('expire'),
    codetwice: () => inject('codetwice'),
    busy: () => inject('busy'),
    away: async ({ network }) => { network.away = true; },
    lost: async ({ network }) => { network.lose = 1 + random.below(2); },
    silent: async ({ network }) => { network.silent = 1 + random.below(3); },
    mute: async ({ network }) => { network.mute = 1 + random.below(2); },
    speechless: async ({ network }) => { network.speechless = 1 + random.below(3); },
    refusing: async ({ network }) => { network.gateway = REFUSES; },
    overloaded: async ({ network }) => { network.gateway = OVERLOADED; },
    relaunch: async (miniprogram) => miniprogram.start(),
    reinstall: async (miniprogram) => { miniprogram.clear(); miniprogram.start(); },
    later: async () => time.pass(HOUR * random.below(10 * 24)),
    clockSetBack: async () => time.pass(-HOUR * random.below(10 * 24)),
  };
}

const often = ['login', 'login', 'resume', 'resume', 'refresh', 'refresh', 'sync', 'sync', 'rename', 'picture', 'fillIn',
  'bindPhone', 'bindOldPhone', 'bindTwice'];

const weights = {
  actions: [...often, ...often, ...often, 'logout', 'logoutEverywhere'],
  betweenBursts: ['relaunch', 'relaunch', 'reinstall', 'later', 'clockSetBack'], // nothing of an earlier launch is under way then
  anyTime: ['newkey', 'newkey', 'newkey', 'expire', 'expire', 'expire', 'codetwice', 'codetwice', 'busy', 'busy',
    'away', 'lost', 'silent', 'mute', 'speechless', 'refusing', 'overloaded'],
};

module.exports = { actions, createFaults, weights };
