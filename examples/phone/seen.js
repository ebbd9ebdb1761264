// Counts one phone's calls, for tests to look at.

/**
 * createSeen returns the counts of one phone, and what updates them.
 * seen.logins: calls of wx.login. seen.loginsNow: logins under way, which are a call of wx.login or a request that carries a
 * code from it; seen.loginsMost: the most at once. seen.requests: those that were answered, as "POST /onLogin 200".
 */
function createSeen() {
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
    codes.push(res.code);
    return res;
  }

  async function countRequest({ url, data, method = 'GET' }, work) {
    const sent = JSON.stringify([url, data]);
    const res = await (codes.some((code) => sent.includes(code)) ? duringLogin(work) : work());
    seen.requests.push(`${method.toUpperCase()} ${new URL(url).pathname} ${res.statusCode}`);
    return res;
  }

  return { seen, countLogin, countRequest };
}

module.exports = { createSeen };
