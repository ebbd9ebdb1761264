// Pictures of the page, for those who want to see how it looks.

const path = require('node:path');

const folder = path.join(__dirname, '../../screenshots');

/** picture takes one of what can be seen. */
function picture(page, name, options = {}) {
  return page.screenshot({ path: path.join(folder, `${name}.png`), ...options });
}

module.exports = { picture };
