// What the page says, in the language of whoever looks at it. (The phone speaks Chinese only: its words are the
// mini-program's.)

import en from './words.en.js';
import zh from './words.zh.js';

const LANGUAGES = { en, zh };
const REMEMBERED = 'language';

const listeners = [];
let language;
let words;

// preferredLanguage is the one that was chosen on an earlier visit, or else the browser's.
export function preferredLanguage() {
  const chosen = localStorage.getItem(REMEMBERED);
  if (Object.hasOwn(LANGUAGES, chosen)) return chosen;
  return navigator.language.startsWith('zh') ? 'zh' : 'en';
}

// useLanguage has everything said in a language. It must be called before anything else here.
export function useLanguage(name) {
  words = LANGUAGES[name];
  language = name;
  for (const listener of listeners) listener();
}

export const rememberLanguage = (name) => localStorage.setItem(REMEMBERED, name);

// say is the sentence of that name, with {these} filled in.
export const say = (name, fill = {}) => words[name].replace(/\{(\w+)\}/g, (_, key) => fill[key]);

// knows tells whether there is a sentence of that name.
export const knows = (name) => Object.hasOwn(words, name);

// span is a length of time in words.
export function span(seconds) {
  const [unit, size] = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]].find(([, s]) => seconds >= s) ||
    ['second', 1];
  const style = { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 };
  return new Intl.NumberFormat(language, style).format(Math.round(seconds / size));
}

// onLanguage calls back now, and whenever the language changes.
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

// translate fills in the page's fixed words.
export function translate() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.title = say('title');
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', say(element.dataset.label));
  }
  for (const button of document.querySelectorAll('[data-language]')) {
    button.setAttribute('aria-pressed', button.dataset.language === language);
  }
}
