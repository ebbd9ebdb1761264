// What the person does, and what goes wrong, in the walk. Each name is as often in the list as it is likely.

const HOUR = 3600; // seconds

// What a gateway says for as long as it stands in between, whatever is tried.
const REFUSES = { statusCode: 401, data: { action: 'relogin' }, header: {} };
const OVERLOADED = { statusCode: 503, data: { action: 'retry' }, header: { 'Retry-After': '3' } };

const deeds = {
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

const often = ['login', 'login', 'resume', 'resume', 'refresh', 'refresh', 'sync', 'sync', 'rename', 'picture', 'fillIn',
  'bindPhone', 'bindOldPhone', 'bindTwice'];
const usual = [...often, ...often, ...often, 'logout', 'logoutEverywhere'];

/** createFaults returns what goes wrong, for a program or the whole phone. bring has the demo's page bring it about. */
function createFaults({ bring, time, random }) {
  return {
    newkey: () => bring('newkey'),
    expire: () => bring('expire'),
    codetwice: () => bring('codetwice'),
    busy: () => bring('busy'),
    away: async ({ network }) => { network.away = true; },
    lost: async ({ network }) => { network.lose = 1 + random.below(2); },
    silent: async ({ network }) => { network.silent = 1 + random.below(3); },
    mute: async ({ network }) => { network.mute = 1 + random.below(2); },
    speechless: async ({ network }) => { network.speechless = 1 + random.below(3); },
    refusing: async ({ network }) => { network.gateway = REFUSES; },
    overloaded: async ({ network }) => { network.gateway = OVERLOADED; },
    relaunch: async (program) => program.start(),
    reinstall: async (program) => { program.clear(); program.start(); },
    later: async () => time.pass(HOUR * random.below(10 * 24)),
    clockSetBack: async () => time.pass(-HOUR * random.below(10 * 24)),
  };
}

// Between two bursts only: nothing of the launch before is under way then.
const quiet = ['relaunch', 'relaunch', 'reinstall', 'later', 'clockSetBack'];
const any = ['newkey', 'newkey', 'newkey', 'expire', 'expire', 'expire', 'codetwice', 'codetwice', 'busy', 'busy',
  'away', 'lost', 'silent', 'mute', 'speechless', 'refusing', 'overloaded'];

module.exports = { deeds, usual, createFaults, quiet, any };
