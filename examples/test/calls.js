// Calls of wx that a test watches, holds back, or answers in WeChat's place.

/** watch lists the first argument of every call of wx[name] from now on. */
function watch(wx, name) {
  const calls = [];
  const original = wx[name];
  wx[name] = (...args) => {
    calls.push(args[0]);
    return original(...args);
  };
  return calls;
}

/** answerWith answers the calls of wx[name] with these in turn, the last one for ever, and lists the calls' options. */
function answerWith(wx, name, ...answers) {
  const calls = [];
  wx[name] = (options) => {
    calls.push(options);
    options.success(answers.length > 1 ? answers.shift() : answers[0]);
  };
  return calls;
}

/** holdAnswer holds the next answer to a request of this path back until go(); came resolves when it is there. */
function holdAnswer(wx, path) {
  return holdNext(wx, path, (options, held) => {
    const { success } = options;
    return { ...options, success: (res) => held(() => success(res)) };
  });
}

/** holdRequest holds the next request of this path back until go(); came resolves when it is there. */
function holdRequest(wx, path) {
  return holdNext(wx, path, (options, held, send) => {
    held(() => send(options));
    return null;
  });
}

function holdNext(wx, path, hold) {
  const send = wx.request;
  const held = { came: undefined, go: undefined };
  held.came = new Promise((there) => {
    const onHeld = (go) => { held.go = go; there(); };
    wx.request = (options) => {
      if (new URL(options.url).pathname !== path) return send(options);
      wx.request = send;
      const changed = hold(options, onHeld, send);
      return changed && send(changed);
    };
  });
  return held;
}

module.exports = { watch, answerWith, holdAnswer, holdRequest };
