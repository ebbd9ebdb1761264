// wx for Node: the calls that the example makes, with the WeChat simulator (go run ./cmd/demo or ./cmd/wxsim) for a
// phone. Needs Node 18 and nothing else.

// createWx returns the wx of one user's phone, with storage of its own. anonymous plays a release of today, to which
// WeChat gives its placeholder in place of the profile.
//
// wx.seen is what a test can look at: the number of wx.login calls, and every request as "POST /onLogin 200".
function createWx({ simulator, user, anonymous = false }) {
  const storage = new Map();
  const seen = { logins: 0, requests: [] };

  async function sim(path, params) {
    const query = new URLSearchParams({ user, ...params });
    const res = await fetch(`${simulator}/sim/${path}?${query}`, { method: 'POST' });
    if (!res.ok) throw new Error(`the simulator answers ${res.status}`);
    return res.json();
  }

  return {
    seen,
    // replaceSessionKey is no call of wx: WeChat does this by itself at a wx.login.
    replaceSessionKey: () => sim('newkey'),

    login(options) {
      seen.logins++;
      settle('login', options, () => sim('login'));
    },
    getUserInfo(options) {
      settle('getUserInfo', options, () => sim('userinfo', { kind: anonymous ? 'anonymous' : 'info' }));
    },
    getUserProfile(options) {
      settle('getUserProfile', options, () => {
        if (!options.desc) throw new Error('desc is missing');
        return sim('userinfo', { kind: anonymous ? 'anonymous' : 'profile' });
      });
    },
    requirePrivacyAuthorize(options) {
      settle('requirePrivacyAuthorize', options, () => ({}));
    },
    request(options) {
      settle('request', options, async () => {
        const res = await send(options);
        seen.requests.push(`${options.method || 'GET'} ${new URL(options.url).pathname} ${res.statusCode}`);
        return res;
      });
    },

    getStorageSync: (key) => (storage.has(key) ? structuredClone(storage.get(key)) : ''),
    setStorageSync: (key, value) => { storage.set(key, structuredClone(value)); },
    removeStorageSync: (key) => { storage.delete(key); },
  };
}

// settle tells the callbacks how a call ended. What they throw themselves is no failure of the call.
async function settle(name, { success, fail, complete }, work) {
  let told = success;
  let res;
  try {
    res = { ...(await work()), errMsg: `${name}:ok` };
  } catch (err) {
    told = fail;
    res = { errMsg: `${name}:fail ${err.message}` };
  }
  if (told) told(res);
  if (complete) complete(res);
}

// send is wx.request's way with HTTP: every status is a success, JSON is parsed whatever it is called, and data is
// encoded as content-type says, JSON by default.
async function send({ url, method = 'GET', data, header = {}, dataType = 'json' }) {
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const [name, value] of Object.entries(header)) headers.set(name, value);
  const target = new URL(url);
  let body;
  if (method === 'GET' && data) {
    target.search = formEncode(data);
  } else if (data !== undefined) {
    body = encode(data, headers.get('content-type'));
  }
  const res = await fetch(target, { method, headers, body });
  return {
    statusCode: res.status,
    header: Object.fromEntries(res.headers), // names in lower case
    data: parse(await res.text(), dataType),
  };
}

function encode(data, contentType) {
  if (typeof data === 'string') return data;
  return contentType.startsWith('application/x-www-form-urlencoded') ? formEncode(data) : JSON.stringify(data);
}

function formEncode(data) {
  return Object.entries(data).map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
}

function parse(text, dataType) {
  if (dataType !== 'json') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

module.exports = { createWx };
