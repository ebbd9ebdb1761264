// The demo's page in a browser, as its viewers use it: the tests lie in page/. They are one file for the runner, with
// one browser and one visit at a time: when WeChat is busy, that meets whoever logs in next.

const { after, describe } = require('node:test');
const { closeBrowser } = require('./browser.js');

describe('the page', () => {
  after(closeBrowser);
  require('./page/flow.js');
  require('./page/faults.js');
  require('./page/keyboard.js');
  require('./page/visits.js');
  require('./page/languages.js');
  require('./page/narrow.js');
  require('./page/access.js');
  require('./page/network.js');
  require('./page/secrecy.js');
  require('./page/log.js');
});
