// What WeChat draws around a page and above it: the title, toasts and modal dialogs.

const { answer } = require('./answer.js');

const TOAST_DURATION = 1500; // milliseconds, as with WeChat

/**
 * createSurface returns these calls of wx, and what they have brought about.
 *
 * @param {import('./device.js').Device} device
 * @param {() => {title: string}} top the page that a title belongs to
 * @param {() => void} changed
 */
function createSurface(device, top, changed) {
  /** @type {{title: string, icon: string} | null} */
  let toast = null;
  let timer;

  function hideToast() {
    clearTimeout(timer);
    if (toast) changed();
    toast = null;
  }

  function showToast({ title = '', icon = 'success', duration = TOAST_DURATION } = {}) {
    hideToast();
    toast = { title, icon };
    timer = setTimeout(hideToast, duration);
    changed();
  }

  function setTitle({ title }) {
    top().title = title;
    changed();
  }

  async function confirm(options) {
    const confirmed = device.confirm ? Boolean(await device.confirm(options)) : true;
    return { confirm: confirmed, cancel: !confirmed };
  }

  const call = (name, work) => (options) => answer(name, options, () => work(options));

  const wx = {
    showToast: call('showToast', showToast),
    hideToast: call('hideToast', hideToast),
    showModal: call('showModal', confirm),
    setNavigationBarTitle: call('setNavigationBarTitle', setTitle),
    stopPullDownRefresh: call('stopPullDownRefresh', () => {}),
  };
  return { wx, toast: () => toast, stop: () => clearTimeout(timer) };
}

module.exports = { createSurface };
