// A mini-program's styles in a browser.

const COMPONENTS = /(^|[\s>+~(,])(view|text|image|button|input|form|navigator)(?![\w-])/g;

/**
 * toCSS makes CSS of WXSS, for the part of a document below root alone. There, elements have the classes wx-view, wx-text
 * and so on, and --rpx is the length of 1rpx. `page` means the root itself.
 *
 * @param {string} wxss
 * @param {string} root a selector
 */
function toCSS(wxss, root) {
  return wxss
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/(-?[\d.]+)rpx/g, 'calc(var(--rpx) * $1)')
    .replace(/([^{};]+)\{/g, (rule, prelude) => (isScoped(prelude) ? `${scope(prelude, root)} {` : rule));
}

/** isScoped leaves out @media and the like, and the steps of @keyframes. */
function isScoped(prelude) {
  return !/^\s*(@|from\b|to\b|[\d.]+%)/.test(prelude);
}

function scope(prelude, root) {
  return prelude.split(',').map((selector) => {
    const own = selector.trim().replace(COMPONENTS, '$1.wx-$2');
    return own === 'page' ? root : `${root} ${own}`;
  }).join(', ');
}

module.exports = { toCSS };
