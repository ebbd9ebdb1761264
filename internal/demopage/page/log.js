// The log of the network: one line for each request with its response, which unfolds to JSON.

import { byId, el, withBars } from './dom.js';
import { onLanguage, say } from './words.js';
import { isFailed, valueOf } from './wire.js';

const MOST_SHOWN = 300;
const LONGEST = 24; // characters of a value in a line

// From whom to whom requests go.
const ways = {
  wx: ['phoneName', 'wechatAppName'],
  http: ['phoneName', 'serverName'],
  wechat: ['serverName', 'wechatName'],
};

// What a line shows of a request and of its response, if there is such a field.
const ASKED = ['code', 'js_code', 'nickName', 'encryptedData', '(body)'];
const ANSWERED = [
  'code', 'errmsg', 'token', 'openid', 'session_key', 'access_token', 'avatarUrl', 'userInfo.nickName', 'phoneNumber',
];

// createLog shows the items of a wire in their order. curlOf returns the address of the command for an exchange.
export function createLog({ curlOf }) {
  const region = byId('log');
  const list = byId('entries');
  let shown = []; // {item, entry}
  let following = false; // whether the end stays in sight

  onLanguage(() => {
    const top = region.scrollTop;
    for (const line of shown) replace(line);
    region.scrollTop = top;
  });
  region.addEventListener('scroll', () => {
    if (region.scrollTop + region.clientHeight < region.scrollHeight - 40) following = false;
  });

  function replace(line) {
    const isOpen = line.entry.querySelector('details')?.open;
    const entry = makeEntry(line.item);
    if (isOpen) entry.querySelector('details').open = true;
    const focused = line.entry.contains(document.activeElement);
    line.entry.replaceWith(entry);
    line.entry = entry;
    if (focused) entry.querySelector('summary').focus({ preventScroll: true });
  }

  function makeEntry(item) {
    if (item.type === 'note') return el('li', { class: 'note' }, say(item.note + 'Done'));
    if (item.type === 'error') return el('li', { class: 'failed' }, item.message);
    const details = el('details', {}, el('summary', {}, ...lineOf(item)));
    details.addEventListener('toggle', () => {
      if (details.open && details.children.length === 1) details.append(unfolded(item, curlOf));
    });
    return el('li', { class: `${item.kind}${isFailed(item) ? ' failed' : ''}` }, details);
  }

  function add(item) {
    const line = { item, entry: makeEntry(item) };
    shown.push(line);
    byId('nothing').hidden = true;
    list.append(line.entry);
    if (shown.length > MOST_SHOWN) shown.shift().entry.remove();
    if (following) region.scrollTop = region.scrollHeight;
  }

  return {
    add,
    addError: (message) => add({ type: 'error', message }),
    answered(item) {
      const line = shown.find((one) => one.item === item);
      if (line) replace(line);
    },
    // follow keeps the end in sight, until someone scrolls up.
    follow() {
      following = true;
      region.scrollTop = region.scrollHeight;
    },
    // show puts the first refused request of these items in sight, below the note before it.
    show(items) {
      following = false;
      const refused = items.find((item) => item.kind === 'http' && !item.answer?.lost && isFailed(item));
      const note = items.findLast((item) => item.type === 'note' && (!refused || item.id < refused.id));
      const [from, to] = [note, refused || note].map((item) => shown.find((line) => line.item === item)?.entry);
      if (!from) return;
      for (const { entry } of shown) entry.classList.toggle('told', entry === to);
      region.scrollTop = from.offsetTop;
      const hidden = to.offsetTop + to.offsetHeight - region.scrollTop - region.clientHeight;
      if (hidden > 0) region.scrollTop += hidden;
    },
    clear() {
      shown = [];
      list.replaceChildren();
      byId('nothing').hidden = false;
    },
  };
}

function lineOf(item) {
  const [from, to] = ways[item.kind];
  const answered = valuesOf(item.answer, ANSWERED);
  const status = item.answer?.lost ? say('lost') : item.answer ? item.answer.label.split(' ')[0] : say('waiting');
  return [
    el('span', { class: 'way' }, say(from), ' ', el('span', { 'aria-hidden': 'true' }, '→'),
      el('span', { class: 'unseen' }, say('to')), ' ', say(to)),
    el('code', { class: 'label' }, item.label),
    el('span', { class: 'values' }, ...valuesOf(item, ASKED), answered.length > 0 && ' → ', ...answered),
    el('span', { class: 'status' }, status),
    el('span', { class: 'took' }, item.answer && `${item.answer.took || 0} ms`),
  ];
}

function valuesOf(message, names) {
  const values = names.map((name) => name.split('.').reduce((data, key) => data?.[key], message?.data))
    .filter(Boolean).map((value) => (value.length > LONGEST && !value.startsWith('<') ? value.slice(0, LONGEST) + '…' : value));
  if (message?.data?.isNewUser) values.push(say('newUser'));
  return values.flatMap((value, i) => [i > 0 && ', ', ...withBars(value)]);
}

function unfolded(item, curlOf) {
  const button = el('button', { type: 'button', class: 'small' }, say('copyCurl'));
  button.addEventListener('click', async () => {
    const done = await copy(curlOf(item)).then(() => 'copied', () => 'notCopied');
    button.textContent = say(done);
    byId('copied').textContent = say(done);
  });
  return el('div', { class: 'unfolded' },
    adviceOf(item).map((text) => el('p', { class: 'advice' }, text))[0],
    el('div', { class: 'message' }, el('h3', {}, say('request')), el('code', {}, `${item.label}  ${item.at}`), jsonOf(item.data)),
    item.answer && el('div', { class: 'message' },
      el('h3', {}, say('response')), el('code', {}, item.answer.label), jsonOf(item.answer.data)),
    item.answer && button);
}

async function copy(address) {
  const res = await fetch(address);
  if (!res.ok) throw new Error(res.statusText);
  await navigator.clipboard.writeText(await res.text());
}

// jsonOf shows each field in a line, but those without a value together in one.
function jsonOf(data) {
  const fields = Object.entries(data || {}).map(([name, value]) => [JSON.stringify(name), JSON.stringify(value), value]);
  if (!fields.length) return el('pre', { class: 'quiet' }, say('empty'));
  const lines = fields.filter(([, , value]) => value || value === 0 || value === false).map(([name, json]) => `${name}: ${json}`);
  const empties = fields.filter(([, , value]) => value === '' || value === null).map(([name, json]) => `${name}: ${json}`);
  const text = [...lines, empties.join(', ')].filter(Boolean).map((line) => `  ${line}`).join(',\n');
  return el('pre', {}, ...withBars(`{\n${text}\n}`));
}

// adviceOf returns what the client does about a refusal, and what became of a response.
function adviceOf({ kind, label, data, answer }) {
  if (answer?.lost) return [say('lostIs')];
  const action = kind === 'http' && valueOf(answer, 'action');
  if (!action) return [];
  if (action === 'retry') {
    const seconds = Number(valueOf(answer, 'Retry-After') || 1);
    return [say(seconds > 10 ? 'retryLater' : 'retry', { seconds })];
  }
  if (action !== 'relogin') return [say('none')];
  if (label === 'POST /onLogin') return [say('reloginLogin')];
  return [say(label === 'POST /bindPhone' && data.code ? 'again' : 'relogin')];
}
