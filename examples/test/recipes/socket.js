// utils/socket.js
const wxlogin = require('wxlogin-client');

const LONGEST_PAUSE = 60; // seconds

/** keepSocket holds a socket open while the user is logged in. It returns a function that ends that. */
function keepSocket(url, onMessage) {
  let task = null; // the socket
  let used = ''; // its token
  let failures = 0; // in a row
  let timer;
  let ended = false;

  async function connect() {
    try {
      if (failures > 0) await wxlogin.login({ silent: true }); // the token may be why: it is checked, and replaced if it has ended
      const token = await wxlogin.token();
      if (!ended && token !== used) open(token);
    } catch (problem) {
      if (problem.code !== 'logged_out') later(); // otherwise onChange says when to go on
    }
  }

  function open(token) {
    close();
    const socket = wx.connectSocket({ url, header: { Authorization: 'Bearer ' + token } });
    [task, used] = [socket, token];
    const lost = () => {
      if (socket !== task) return; // closed here, or both events came
      [task, used] = [null, ''];
      later();
    };
    socket.onMessage(({ data }) => { failures = 0; onMessage(data); });
    socket.onClose(lost);
    socket.onError(lost);
  }

  function later() {
    if (ended) return;
    clearTimeout(timer);
    timer = setTimeout(connect, Math.min(LONGEST_PAUSE, 2 ** failures) * 1000);
    failures++;
  }

  function close() {
    clearTimeout(timer);
    const socket = task;
    [task, used] = [null, ''];
    if (socket) socket.close({});
  }

  const unsubscribe = wxlogin.onChange(({ loggedIn }) => (loggedIn ? connect() : close()));
  connect();
  return () => { ended = true; unsubscribe(); close(); };
}

module.exports = { keepSocket };
