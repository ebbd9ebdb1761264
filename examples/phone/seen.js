// Counts one phone's calls, for tests to look at.

const MAX_REMEMBERED = 1000;

/**
 * @typedef {object} Seen
 * @property {number} logins calls of wx.login
 * @property {number} loginsNow logins under way: a call of wx.login, or a request that carries a code from it
 * @property {number} loginsMost the most that were under way at once
 * @property {string[]} requests those that were answered, as "POST /onLogin 200", the last 1000
 */

/** createSeen returns the counts of one phone, and what updates them. */
function createSeen() {
  /** @type {Seen} */
  const seen = { logins: 0, loginsNow: 0, loginsMost: 0, requests: [] };
  const codes = []; // of wx.login; a request that contains one is the second half of a login

  async function duringLogin(work) {
    seen.loginsNow++;
    seen.loginsMost = Math.max(seen.loginsMost, seen.loginsNow);
    try {
      return await work();
    } finally {
      seen.loginsNow--;
    }
  }

  async function countLogin(work) {
    seen.logins++;
    const res = await duringLogin(work);
    remember(codes, res.code);
    return res;
  }

  async function countRequest(options, work) {
    const sent = JSON.stringify([options.url, options.data]);
    const res = await (codes.some((code) => sent.includes(code)) ? duringLogin(work) : work());
    remember(seen.requests, `${(options.method || 'GET').toUpperCase()} ${new URL(options.url).pathname} ${res.statusCode}`);
    return res;
  }

  return { seen, countLogin, countRequest };
}

function remember(list, item) {
  list.push(item);
  if (list.length > MAX_REMEMBERED) list.shift();
}

module.exports = { createSeen };
