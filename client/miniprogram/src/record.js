// What is kept of the session: in memory, and in the phone's storage for the next launch.

import { options } from './options.js';
import { platform } from './platform.js';
import { isText, recordOf } from './values.js';

/**
 * What is kept. lifetime: of the token without use, in seconds. loggedOut: by the user, until the next login(). deleted: the
 * user has deleted the account, or has tried to and no answer said that it is still there; until the next login() too.
 * @typedef {{ server: string, token: string, expiresAt: number, lifetime: number, loggedOut: boolean, deleted?: true }} Kept
 */

const STORAGE_KEY = 'wxlogin';

export const TOKEN = /^[\x21-\x7e]{0,512}$/; // what fits into a header; more is not known of it here

const WRITE_PAUSE = 60 * 60 * 1000; // between two times that the expiry alone is written to storage, in ms

/** @type {Kept | null} */
let kept = null; // null: storage was not read yet
let writtenExpiry = 0;

/** @returns {Kept} */
export function record() {
  if (!kept) {
    kept = readStorage();
    writtenExpiry = kept.expiresAt;
  }
  if (kept.server !== options.server) kept = blank(); // another server's token is not this one's business
  return kept;
}

/** @returns {Kept} */
function blank() {
  return { server: options.server, token: '', expiresAt: 0, lifetime: 0, loggedOut: false };
}

/** @returns {Kept} */
function readStorage() {
  let found;
  try {
    found = platform().getStorageSync(STORAGE_KEY);
  } catch (err) {
    found = null; // a storage that fails costs a login at each launch, nothing more
  }
  const { server, token, expiresAt, lifetime, loggedOut = false, deleted } = recordOf(found);
  const usable = isText(server) && isText(token) && TOKEN.test(token) && typeof expiresAt === 'number' &&
    typeof loggedOut === 'boolean';
  if (!usable) return blank();
  const read = { server, token, expiresAt, lifetime: lifetime > 0 ? Number(lifetime) : 0, loggedOut };
  return deleted === true ? Object.assign(read, { deleted }) : read;
}

/** @type {Set<(change: { loggedIn: boolean }) => void>} */
const listeners = new Set();

/**
 * onChange calls listener after each login that has brought another token, and after a logout or a deletion of the account: soon
 * afterwards, by a timer. It returns a function that ends this.
 * @param {(change: { loggedIn: boolean }) => void} listener
 * @returns {() => void}
 */
export function onChange(listener) {
  const own = (/** @type {{ loggedIn: boolean }} */ change) => listener(change);
  listeners.add(own);
  return () => { listeners.delete(own); };
}

/** @param {boolean} loggedIn */
function announce(loggedIn) {
  listeners.forEach((listener) => {
    setTimeout(() => { if (listeners.has(listener)) listener({ loggedIn }); }, 0); // it may have been removed meanwhile
  });
}

/** @param {Partial<Kept>} changes */
export function keep(changes) {
  const before = record();
  kept = Object.assign({}, before, changes);
  if (!kept.deleted) delete kept.deleted;
  writtenExpiry = kept.expiresAt;
  try {
    platform().setStorageSync(STORAGE_KEY, kept);
  } catch (err) {
    // Full or broken: memory has it until the mini-program ends.
  }
  if (kept.token && kept.token !== before.token) announce(true);
  else if (kept.loggedOut && !before.loggedOut) announce(false);
}

/** currentToken is '' if there is none that could be valid. */
export function currentToken() {
  const { token, expiresAt } = record();
  return expiresAt > Date.now() ? token : '';
}

/**
 * forget removes a token that was refused, but not a newer one that a parallel call has fetched since.
 * @param {string} token
 */
export function forget(token) {
  if (record().token === token) keep({ token: '', expiresAt: 0 });
}

/**
 * used moves the expiry on, as the server did.
 * @param {string} token
 */
export function used(token) {
  const now = record();
  if (now.token !== token) return;
  now.expiresAt = Date.now() + now.lifetime * 1000;
  if (now.expiresAt - writtenExpiry > WRITE_PAUSE) keep({});
}
