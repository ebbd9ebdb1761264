// The books about one phone's calls, for tests to look at.

const MOST_REMEMBERED = 1000;

/**
 * @typedef {object} Seen what a test can look at
 * @property {number} logins calls of wx.login
 * @property {number} loginsNow logins under way: a call of wx.login, or a request that carries a code from it
 * @property {number} loginsMost the most that were under way at once
 * @property {string[]} requests those that were answered, as "POST /onLogin 200", the last 1000
 */

/** createSeen keeps the books about one phone's calls. */
function createSeen() {
  /** @type {Seen} */
  const seen = { logins: 0, loginsNow: 0, loginsMost: 0, requests: [] };
  const codes = []; // those of wx.login, by which a request is known to be a login's second half

  async function underWay(work) {
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
    const res = await underWay(work);
    remember(codes, res.code);
    return res;
  }

  async function countRequest(options, work) {
    const sent = JSON.stringify([options.url, options.data]);
    const res = await (codes.some((code) => sent.includes(code)) ? underWay(work) : work());
    remember(seen.requests, `${(options.method || 'GET').toUpperCase()} ${new URL(options.url).pathname} ${res.statusCode}`);
    return res;
  }

  return { seen, countLogin, countRequest };
}

function remember(list, item) {
  list.push(item);
  if (list.length > MOST_REMEMBERED) list.shift();
}

module.exports = { createSeen };
