// What can be seen on the phone: the page of a mini-program, WeChat's dialogs and its toasts.

import { all, byId } from './dom.js';
import { isChinese, knows, say } from './words.js';

const TOAST_DURATION = 1500; // milliseconds, as in WeChat
const screen = byId('screen');
const dialog = byId('dialog');
let answerDialog = () => {};
let offered = ''; // the nickname that WeChat knows
let toastTimer;
let owesFocus = false; // there was no button to focus when the focused one went away

// draw shows a view: screen (closed, home or profile), state (loading, ready, loggedOut or failed), user, complete, number,
// editing, chosen (the address of a picture), placeholder, problem, and busy. The focus stays on the screen.
export function draw(view, pictureOf) {
  const { state, user = {} } = view;
  const focused = document.activeElement;
  const shown = {
    ...view, [view.screen]: true, [state]: true, picture: user.avatarUrl, noPicture: !user.avatarUrl,
    notEditing: !view.editing, noNumber: !view.number,
  };
  for (const element of all('[data-show]', screen)) {
    element.hidden = !element.dataset.show.split(' ').every((name) => shown[name]);
  }
  for (const image of all('[data-show=picture]', screen)) if (user.avatarUrl) image.src = pictureOf(user.avatarUrl);
  if (view.chosen) byId('chosen').src = view.chosen;
  for (const button of all('.page button', screen)) button.ariaDisabled = view.busy ? 'true' : null;
  write(view);
  const isLost = screen.contains(focused) ? focused.closest('[hidden]') : owesFocus && focused === document.body;
  const next = isLost && all('.page button', screen).find((button) => !button.closest('[hidden]'));
  if (next) next.focus({ preventScroll: true });
  owesFocus = Boolean(isLost && !next);
}

function write({ screen: name, state, user = {}, complete, number, problem, deleted }) {
  const greetings = { loading: 'loggingIn', failed: 'notLoggedIn', loggedOut: deleted ? 'accountDeleted' : 'youLoggedOut' };
  const hints = { ready: complete ? 'autoLogin' : 'autoLoginNew', loggedOut: deleted ? 'loginCreates' : 'loginKeeps' };
  byId('title').textContent = say(name === 'profile' ? 'myProfile' : 'appName');
  byId('greeting').textContent = say(greetings[state] || 'hello', { name: user.nickName || say('newFriend') });
  byId('greeting-hint').textContent = hints[state] ? say(hints[state]) : '';
  byId('name').textContent = user.nickName || say('noName');
  byId('complete').textContent = say(complete ? 'complete' : 'incompleteProfile');
  byId('number').textContent = say('number', { number });
  for (const element of all('.problem', screen)) element.textContent = problem ? sentenceOf(problem) : '';
}

// sentenceOf says what a problem means for the person. In Chinese these are the example mini-program's sentences.
function sentenceOf({ text, explained, code, retryAfter, requestId }) {
  if (text) return say(text);
  if (isChinese()) return explained;
  return say(knows('problem_' + code) ? 'problem_' + code : 'problem_other', { seconds: retryAfter, requestId });
}

// put writes a text that follows the language from then on.
function put(id, name) {
  byId(id).dataset.text = name;
  byId(id).textContent = say(name);
}

// ask shows a dialog of WeChat and resolves with whether the person allows it. What is below cannot be reached meanwhile.
export function ask(question, face) {
  for (const [id, name] of [['question', question], ['allow', question + 'Yes'], ['deny', question + 'No']]) put(id, name);
  dialog.dataset.label = question;
  dialog.ariaLabel = say(question);
  byId('face').hidden = !face;
  if (face) byId('face').src = face;
  dialog.show(); // takes the focus, and gives it back
  screen.firstElementChild.inert = true;
  return new Promise((resolve) => {
    answerDialog = (allowed) => {
      screen.firstElementChild.inert = false;
      dialog.close();
      resolve(allowed);
    };
  });
}

export const closeDialog = () => answerDialog(false);

export function toast(name) {
  put('toast', name);
  byId('toast').hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { byId('toast').hidden = true; }, TOAST_DURATION);
}

// offerName has the phone offer the name that WeChat knows, for the input.
export function offerName(name) {
  offered = name;
}

export function enterName() {
  byId('nickname').value = offered;
}

// listen calls act with the name of a button that is tapped.
export function listen(act) {
  const input = byId('nickname');
  const offer = byId('offer');
  screen.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-tap]');
    if (button) act(button.dataset.tap);
  });
  byId('form').addEventListener('submit', (event) => {
    event.preventDefault();
    act('save');
  });
  byId('allow').addEventListener('click', () => answerDialog(true));
  byId('deny').addEventListener('click', closeDialog);
  dialog.addEventListener('keydown', ({ key }) => { if (key === 'Escape') closeDialog(); });
  input.addEventListener('focus', () => {
    offer.textContent = say('useName', { name: offered });
    offer.hidden = !offered || input.value === offered;
  });
  byId('form').addEventListener('focusout', ({ relatedTarget }) => {
    if (relatedTarget !== offer && relatedTarget !== input) offer.hidden = true;
  });
  offer.addEventListener('pointerdown', (event) => event.preventDefault()); // the input keeps the focus
  offer.addEventListener('click', () => {
    enterName();
    input.focus({ preventScroll: true });
    offer.hidden = true;
  });
}
