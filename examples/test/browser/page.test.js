// The demo's page in a browser, as its viewers use it: the tests are in page/. They are one file for the runner, so that
// they share a browser. PAGE_TESTS=flow,faults runs only these.

const { after, describe } = require('node:test');
const { closeBrowser } = require('./harness.js');

describe('the page', () => {
  after(closeBrowser);
  for (const topic of (process.env.PAGE_TESTS || 'flow,faults,network,keyboard,layout').split(',')) require(`./page/${topic}.js`);
});
