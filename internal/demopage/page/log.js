// The log of the network: one line for each request with its response, which unfolds to JSON.

import { byId, el, withBars } from './dom.js';
import { onLanguage, say } from './words.js';
import { fieldOf, isFailed, valueOf } from './wire.js';

const MOST_SHOWN = 300;
const LONGEST = 25; // characters of a value in a line

// From whom to whom requests go.
const ways = {
  wx: ['phoneName', 'wechatAppName'],
  http: ['phoneName', 'serverName'],
  wechat: ['serverName', 'wechatName'],
  push: ['wechatName', 'serverName'],
};

// What a line shows of a request and of its response, if there is such a field.
const ASKED = ['code', 'js_code', 'nickName', 'encryptedData', '(decrypted).Event', '(decrypted).RevokeInfo', '(body)'];
const ANSWERED = [
  'code', 'errmsg', 'token', 'openid', 'session_key', 'access_token', 'avatarUrl', 'userInfo.nickName', 'phoneNumber',
];

// createLog shows the items of a wire in their order. curlOf returns the address of the command for an exchange.
export function createLog({ curlOf }) {
  const region = byId('log');
  const list = byId('entries');
  let following = false; // whether the end stays in sight
  const entryOf = (item) => [...list.children].find((entry) => entry.item === item);

  onLanguage(() => {
    const top = region.scrollTop;
    [...list.children].forEach(replace);
    region.scrollTop = top;
  });
  region.addEventListener('scroll', () => {
    if (region.scrollTop + region.clientHeight < region.scrollHeight - 40) following = false;
  });

  function replace(old) {
    const entry = makeEntry(old.item);
    if (old.querySelector('[open]')) entry.querySelector('details').open = true;
    const focused = old.contains(document.activeElement);
    old.replaceWith(entry);
    if (focused) entry.querySelector('summary').focus({ preventScroll: true });
  }

  function makeEntry(item) {
    const entry = el('li', { class: `${item.kind || item.type}${isFailed(item) ? ' failed' : ''}` });
    entry.item = item;
    if (item.type === 'note') entry.append(say(item.note + 'Done'));
    else if (item.type === 'failed') entry.append(item.message);
    else entry.append(foldable(item));
    return entry;
  }

  function foldable(item) {
    const details = el('details', {}, el('summary', {}, ...lineOf(item)));
    details.addEventListener('toggle', () => {
      if (details.open && details.children.length === 1) details.append(unfolded(item, curlOf));
    });
    return details;
  }

  function add(item) {
    list.append(makeEntry(item));
    if (list.children.length > MOST_SHOWN) list.firstChild.remove();
    if (following) region.scrollTop = region.scrollHeight;
  }

  return {
    add,
    addError: (message) => add({ type: 'failed', message }),
    answered(item) {
      const entry = entryOf(item);
      if (entry) replace(entry);
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
      const [from, to] = [note, refused || note].map(entryOf);
      if (!from) return;
      for (const entry of list.children) entry.classList.toggle('told', entry === to);
      region.scrollTop = from.offsetTop;
      region.scrollTop = Math.max(from.offsetTop, to.offsetTop + to.offsetHeight - region.clientHeight);
    },
    clear: () => list.replaceChildren(),
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
  const values = names.map((name) => fieldOf(message, name))
    .filter(Boolean).map((value) => (value.length > LONGEST && !value.startsWith('<') ? value.slice(0, LONGEST) + '…' : value));
  if (message?.data?.isNewUser) values.push(say('newUser'));
  // A bar goes with the comma before it, so that an ellipsis replaces both: beside a bar that is cut there would be none.
  return values.map((value, i) => (
    el('span', { class: String(value).startsWith('<') && 'whole' }, i > 0 && ', ', ...withBars(value))));
}

function unfolded(item, curlOf) {
  const { label, at, data, answer } = item;
  const advice = adviceOf(item);
  const button = el('button', { type: 'button', class: 'small' }, say('copyCurl'));
  button.addEventListener('click', async () => {
    const done = say(await copy(curlOf(item)).then(() => 'copied', () => 'notCopied'));
    button.textContent = done;
    byId('copied').textContent = done;
  });
  return el('div', { class: 'unfolded' },
    advice && el('p', { class: 'advice' }, advice),
    messageOf('request', `${label}  ${at}`, data), ...(answer ? [messageOf('response', answer.label, answer.data), button] : []));
}

async function copy(address) {
  const res = await fetch(address);
  if (!res.ok) throw new Error(res.statusText);
  await navigator.clipboard.writeText(await res.text());
}

const messageOf = (title, line, data) => (
  el('div', { class: 'message' }, el('h3', {}, say(title)), el('code', {}, line), jsonOf(data)));

// jsonOf shows each field in a line, but those without a value together in one.
function jsonOf(data) {
  const fields = Object.entries(data || {});
  if (!fields.length) return el('pre', { class: 'quiet' }, say('empty'));
  const isEmpty = ([, value]) => value === '' || value === null;
  const json = ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`;
  const lines = [...fields.filter((field) => !isEmpty(field)).map(json), fields.filter(isEmpty).map(json).join(', ')];
  return el('pre', {}, ...withBars(`{\n${lines.filter(Boolean).map((line) => `  ${line}`).join(',\n')}\n}`));
}

// adviceOf returns what the client does about a refusal, or what became of a response.
function adviceOf({ kind, label, data, answer }) {
  if (answer?.lost) return say('lostIs');
  const action = kind === 'http' && valueOf(answer, 'action');
  const seconds = Number(valueOf(answer, 'Retry-After') || 1);
  if (action === 'retry') return say(seconds > 10 ? 'retryLater' : 'retry', { seconds });
  if (action === 'relogin' && label === 'POST /onLogin') return say('reloginLogin');
  if (action === 'relogin') return say(label === 'POST /bindPhone' && data.code ? 'again' : 'relogin');
  return action && say('none');
}
