// Which URLs the token may go to.

/** @param {string} url */
export function withoutSlash(url) {
  return url.replace(/\/+$/, '');
}

const STEP_BACK = /(^|[/\\])(\.|%2e){1,2}([/\\?#]|$)/i; // ".." and the like, which lead out of a folder

/**
 * isBelow compares whole hosts and folders: https://api.example.com.evil is not below https://api.example.com.
 * @param {string} url
 * @param {string} base
 */
export function isBelow(url, base) {
  const rest = url.slice(base.length);
  return base !== '' && url.startsWith(base) && /^($|[/?#])/.test(rest) && !STEP_BACK.test(rest);
}
