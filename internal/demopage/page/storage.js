// What MySQL and Redis hold of the person. What has changed is marked for a moment.

import { bar, byId, el } from './dom.js';
import { onLanguage, say, span } from './words.js';

const PAUSE = 150; // milliseconds: what happens within them is one look
const MARKED = 4000; // milliseconds
const LONG = ['identities', 'avatar_url']; // columns

// createStorage shows the state of one phone's person at a time. onState gets every state that is shown.
export function createStorage({ onState }) {
  let id;
  let timer;
  let asked = 0;
  let state;
  let before; // values by name, to tell what is new; undefined until there is something to compare with
  let changedAt = new Map(); // when, by name

  onLanguage(() => state && show());

  async function look() {
    timer = undefined;
    const question = ++asked;
    const res = await fetch(`/phones/${id}/state`).catch(() => null); // the stream of events tells that it is gone
    const answer = res?.ok ? await res.json().catch(() => null) : null;
    if (!answer || question !== asked) return;
    state = answer;
    const values = valuesOf(state);
    for (const [name, value] of before ? values : []) {
      if (differs(value, before.get(name))) changedAt.set(name, Date.now());
    }
    before = values;
    show();
    onState(state);
  }

  function show() {
    byId('mysql').replaceChildren(showRow(state.mysql, mark));
    byId('redis').replaceChildren(showKeys(state.redis, mark));
  }

  // mark marks what has changed lately, for as long as is left of that.
  function mark(name, element) {
    const age = Date.now() - (changedAt.get(name) ?? -Infinity);
    if (age >= MARKED) return element;
    element.classList.add('changed');
    element.style.animationDelay = `-${age}ms`;
    setTimeout(() => element.classList.remove('changed'), MARKED - age);
    return element;
  }

  function refresh() {
    timer ??= setTimeout(look, PAUSE);
  }

  return {
    refresh,
    follow(person) {
      id = person;
      before = undefined;
      changedAt = new Map();
      refresh();
    },
  };
}

function valuesOf({ mysql, redis }) {
  return new Map([
    ...(mysql ? mysql.columns : []).map(({ name, value }) => [name, { value }]),
    ...redis.map(({ key, value, expiresIn }) => [key, { value, expiresIn }]),
  ]);
}

// differs leaves out that time passes: less is left of it then.
function differs(now, then) {
  return !then || now.value !== then.value || now.expiresIn > then.expiresIn;
}

function showRow(mysql, mark) {
  if (!mysql) return el('p', { class: 'quiet' }, say('noUser'));
  return el('dl', {}, ...mysql.columns.map(({ name, value }) => (
    mark(name, el('div', { class: LONG.includes(name) && 'long' },
      el('dt', {}, name),
      el('dd', {}, ...valueOf(name, value)))))));
}

function valueOf(name, value) {
  if (!value) return [el('i', {}, value === null ? 'NULL' : "''")];
  return withBars(value, ['identities', 'unionid'].includes(name));
}

function showKeys(keys, mark) {
  if (!keys.length) return el('p', { class: 'quiet' }, say('noKeys'));
  return el('ul', { class: 'keys' }, ...keys.map(({ key, value, expiresIn }) => mark(key, el('li', {},
    el('code', {}, ...withBars(key, true)),
    el('p', {}, say('keyIs', { value: describe(value), time: span(expiresIn) }))))));
}

// withBars writes what is named in the place of a secret, such as <token 2>, as a bar.
function withBars(text, secrets) {
  if (!secrets) return [text];
  return text.split(/<([^<>]+)>/).map((part, i) => (i % 2 ? bar(part) : part));
}

// describe is the server's description of a value, in the page's language.
function describe(value) {
  const sealed = /^(\d+) bytes, sealed with (.+)$/.exec(value);
  if (sealed) return say('sealed', { n: sealed[1], how: sealed[2] });
  const set = /^sorted set of (\d+) session/.exec(value);
  return set ? say('sessions', { n: set[1] }) : value;
}
