// What MySQL and Redis hold of the person. What has changed is marked for a moment.

import { byId, el, withBars } from './dom.js';
import { onLanguage, say, span } from './words.js';

const PAUSE = 150; // milliseconds: what happens within them is read at once
const MARKED = 4000; // milliseconds
const LONG = ['identities', 'avatar_url']; // columns

// createStorage shows what is stored of one phone's person at a time. address returns where to read it, onState gets it.
export function createStorage({ address, onState }) {
  let timer;
  let asked = 0;
  let state;
  let before; // columns and keys by name, to find what has changed; undefined until there is something to compare with
  let changedAt; // by name

  onLanguage(() => state && show());

  async function look() {
    timer = undefined;
    const question = ++asked;
    const res = await fetch(address()).catch(() => null); // the stream of events shows that the server is gone
    const answer = res?.ok ? await res.json().catch(() => null) : null;
    if (!answer || question !== asked) return;
    state = answer;
    const now = new Map([...(state.mysql || []), ...state.redis].map((one) => [one.name ?? one.key, one]));
    for (const [name, one] of before ? now : []) if (differs(one, before.get(name))) changedAt.set(name, Date.now());
    before = now;
    show();
    onState(state);
  }

  function show() {
    byId('mysql').replaceChildren(showRow(state.mysql));
    byId('redis').replaceChildren(showKeys(state.redis));
  }

  function showRow(columns) {
    if (!columns) return el('p', { class: 'quiet' }, say('noUser'));
    return el('dl', {}, ...columns.map(({ name, value }) => (
      mark(name, el('div', { class: LONG.includes(name) && 'long' }, el('dt', {}, name),
        el('dd', {}, ...(value ? withBars(value) : [el('i', {}, value === null ? 'NULL' : "''")])))))));
  }

  function showKeys(keys) {
    if (!keys.length) return el('p', { class: 'quiet' }, say('noKeys'));
    return el('ul', { class: 'keys' }, ...keys.map(({ key, value, expiresIn }) => mark(key, el('li', {},
      el('code', {}, ...withBars(key)),
      el('p', {}, say('keyIs', { value: describe(value), time: span(expiresIn) }))))));
  }

  // mark marks what has changed lately, for the rest of that time.
  function mark(name, element) {
    const age = Date.now() - (changedAt.get(name) ?? -Infinity);
    if (age >= MARKED) return element;
    element.classList.add('changed');
    element.style.animationDelay = `-${age}ms`;
    setTimeout(() => element.classList.remove('changed'), MARKED - age);
    return element;
  }

  return {
    refresh() {
      timer ??= setTimeout(look, PAUSE);
    },
    // forget is called before another person, or other values, are shown.
    forget() {
      before = undefined;
      changedAt = new Map();
      this.refresh();
    },
  };
}

// differs ignores that time passes, which leaves less of it.
function differs(now, then) {
  return !then || now.value !== then.value || now.expiresIn > then.expiresIn;
}

// describe translates the server's description of a value.
function describe(value) {
  const [, bytes, how] = /^(\d+) bytes, sealed with (.+)$/.exec(value) || [];
  const [, sessions] = /^sorted set of (\d+) session/.exec(value) || [];
  return how ? say('sealed', { n: bytes, how }) : sessions ? say('sessions', { n: sessions }) : value;
}
