// What MySQL and Redis hold of the person. What has changed is marked for a moment.

import { bar, byId, el } from './dom.js';
import { onLanguage, say, span } from './words.js';

const PAUSE = 150; // milliseconds: several events in a row are one look
const MARKED = 4000; // milliseconds

// createStorage shows the state of one phone's person at a time. onState gets every state that is shown.
export function createStorage({ onState }) {
  let id;
  let timer;
  let asked = 0;
  let state;
  let before; // values by name, to tell what is new; undefined until there is something to compare with

  onLanguage(() => state && show(new Set()));

  async function look() {
    const question = ++asked;
    const res = await fetch(`/phones/${id}/state`).catch(() => null); // the stream of events tells that it is gone
    const answer = res?.ok ? await res.json().catch(() => null) : null;
    if (!answer || question !== asked) return;
    state = answer;
    const values = valuesOf(state);
    const changed = new Set(before && [...values.keys()].filter((name) => differs(values.get(name), before.get(name))));
    before = values;
    show(changed);
    onState(state);
  }

  function show(changed) {
    byId('mysql').replaceChildren(showRow(state.mysql, changed));
    byId('redis').replaceChildren(showKeys(state.redis, changed));
    setTimeout((marked) => marked.forEach((element) => element.classList.remove('changed')), MARKED,
      document.querySelectorAll('.changed'));
  }

  function refresh() {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  }

  return {
    refresh,
    follow(person) {
      id = person;
      before = undefined;
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

function showRow(mysql, changed) {
  if (!mysql) return el('p', { class: 'quiet' }, say('noUser'));
  return el('dl', {}, ...mysql.columns.map(({ name, value }) => (
    el('div', { class: changed.has(name) && 'changed' },
      el('dt', {}, name),
      el('dd', {}, ...valueOf(name, value))))));
}

function valueOf(name, value) {
  if (!value) return [el('i', {}, value === null ? 'NULL' : "''")];
  return withBars(value, ['identities', 'unionid'].includes(name));
}

function showKeys(keys, changed) {
  if (!keys.length) return el('p', { class: 'quiet' }, say('noKeys'));
  const titles = ['key', 'value', 'expires'].map((name) => el('th', { scope: 'col' }, say(name)));
  return el('table', {},
    el('thead', {}, el('tr', {}, ...titles)),
    el('tbody', {}, ...keys.map(({ key, value, expiresIn }) => el('tr', { class: changed.has(key) && 'changed' },
      el('td', {}, el('code', {}, ...withBars(key, true))),
      el('td', {}, describe(value)),
      el('td', {}, span(expiresIn))))));
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
