// The log of what crosses the wire, as a list of entries.

import { bar, byId, el } from './dom.js';
import { onLanguage, say } from './words.js';
import { fieldOf } from './wire.js';

const MOST_SHOWN = 200;

// Who speaks to whom; answers go the other way.
const ways = {
  wx: ['phoneName', 'wechatAppName'],
  http: ['phoneName', 'serverName'],
  wechat: ['serverName', 'wechatName'],
};

// createLog shows events, the newest at the end.
export function createLog() {
  const region = byId('log');
  const list = byId('entries');
  const nothing = byId('nothing');
  let shown = []; // {event, request}: an answer's request, which its entry speaks of

  onLanguage(() => keepEnd(() => list.replaceChildren(...shown.map(makeEntry))));

  // keepEnd keeps the end in sight, unless somebody has scrolled away from it to read.
  function keepEnd(change) {
    const atEnd = region.scrollTop + region.clientHeight > region.scrollHeight - 40;
    change();
    if (atEnd) region.scrollTop = region.scrollHeight;
  }

  function add(event) {
    const request = shown.find((earlier) => event.exchange && earlier.event.exchange === event.exchange)?.event;
    const before = shown.findLast((earlier) => earlier.event.kind === 'http' && earlier.event.type === 'request')?.event;
    const item = { event, request, repeated: isRepeated(event, before) };
    shown.push(item);
    nothing.hidden = true;
    keepEnd(() => list.append(makeEntry(item)));
    if (shown.length > MOST_SHOWN) {
      shown.shift();
      list.firstChild.remove();
    }
  }

  return {
    add,
    // addError shows a fault in the code of the mini-program.
    addError: (message) => add({ type: 'error', message }),
    clear() {
      shown = [];
      list.replaceChildren();
      nothing.hidden = false;
    },
  };
}

// isRepeated tells whether a request is the one before it, sent once more on the way.
export function isRepeated(event, before) {
  if (event.type !== 'request' || event.kind !== 'http' || !before) return false;
  const code = fieldOf(event, 'code');
  return Boolean(code) && code === fieldOf(before, 'code');
}

function makeEntry({ event, request, repeated }) {
  if (event.type === 'note') return el('li', { class: 'entry note' }, say(event.note + 'Done'));
  if (event.type === 'error') return el('li', { class: 'entry failed' }, say('pageError', event));
  const failed = event.status >= 400 || (event.kind === 'wechat' && Number(fieldOf(event, 'errcode')) !== 0 &&
    fieldOf(event, 'errcode') !== undefined);
  return el('li', { class: `entry ${event.kind} ${event.type}${failed ? ' failed' : ''}` },
    headOf(event), fieldsOf(event), repeated && el('p', { class: 'advice' }, say('repeated')), adviceOf(event, request));
}

function headOf(event) {
  const [from, to] = event.type === 'request' ? ways[event.kind] : ways[event.kind].toReversed();
  return el('div', { class: 'head' },
    el('span', { class: 'way' }, say(from), ' ', el('span', { 'aria-hidden': 'true' }, '→'),
      el('span', { class: 'unseen' }, say('to')), ' ', say(to)),
    el('code', { class: 'label' }, event.label),
    el('span', { class: 'when' }, event.type === 'answer' && `${event.took || 0} ms · `, el('time', {}, event.at)));
}

// fieldsOf shows the fields, those without a value together at the end.
function fieldsOf(event) {
  const fields = (event.fields || []).filter(({ name }) => name !== 'status');
  const filled = fields.filter(({ secret, value }) => secret || value);
  const empty = fields.filter(({ secret, value }) => !secret && !value);
  if (!fields.length) return null;
  return el('div', { class: 'fields' },
    ...filled.map(({ name, value, secret, length }) => el('span', { class: 'field' },
      el('span', { class: 'name' }, name), ' ',
      secret ? bar(secret, say('secretIs', { length })) : el('span', { class: 'value' }, value), ' ')),
    empty.length > 0 && el('span', { class: 'field empty' }, say('empty') + ' ' + empty.map(({ name }) => name).join(', ')));
}

// adviceOf says what the client does about a refusal.
function adviceOf(event, request) {
  const action = event.type === 'answer' && event.kind === 'http' && fieldOf(event, 'action');
  let text;
  if (action === 'relogin') text = reloginOf(request);
  if (action === 'retry') text = say('retry', { seconds: fieldOf(event, 'Retry-After') || 1 });
  return text && el('p', { class: 'advice' }, text);
}

function reloginOf(request) {
  if (request?.label === 'POST /onLogin') return say('reloginLogin');
  return say(request?.label === 'POST /bindPhone' && fieldOf(request, 'code') ? 'again' : 'relogin');
}
