// What the page and its phone say, in English and in Chinese.

const LANGUAGES = ['en', 'zh'];
const REMEMBERED = 'language';

const listeners = [];
let words; // [English, Chinese] by name
let index = 0;

// readWords must be called before anything else here.
export async function readWords() {
  words = await (await fetch('/assets/words.json')).json();
}

export const isChinese = () => index === 1;

// preferredLanguage returns the language that was chosen on an earlier visit, or else the browser's.
export function preferredLanguage() {
  const chosen = localStorage.getItem(REMEMBERED);
  if (LANGUAGES.includes(chosen)) return chosen;
  return navigator.language.startsWith('zh') ? 'zh' : 'en';
}

// useLanguage says everything in a language.
export function useLanguage(name) {
  index = LANGUAGES.indexOf(name);
  translate();
  for (const listener of listeners) listener();
}

export const rememberLanguage = (name) => localStorage.setItem(REMEMBERED, name);

// knows reports whether there is a sentence of that name.
export const knows = (name) => Object.hasOwn(words, name);

// say returns the sentence of that name, with {these} filled in.
export function say(name, fill = {}) {
  return (words[name][index] ?? words[name][0]).replace(/\{(\w+)\}/g, (_, key) => fill[key] ?? '');
}

// span returns a length of time in words.
export function span(seconds) {
  const [unit, size] = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]].find(([, s]) => seconds >= s) ||
    ['second', 1];
  const style = { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 };
  return new Intl.NumberFormat(LANGUAGES[index], style).format(Math.round(seconds / size));
}

// onLanguage calls back whenever the language changes.
export function onLanguage(listener) {
  listeners.push(listener);
}

// translate fills in the page's fixed words.
function translate() {
  document.documentElement.lang = isChinese() ? 'zh-CN' : 'en';
  document.title = say('title');
  const fixed = { text: 'textContent', label: 'ariaLabel', placeholder: 'placeholder', alt: 'alt' };
  for (const [name, property] of Object.entries(fixed)) {
    for (const element of document.querySelectorAll(`[data-${name}]`)) element[property] = say(element.dataset[name]);
  }
  for (const button of document.querySelectorAll('[data-language]')) {
    button.ariaPressed = button.dataset.language === LANGUAGES[index];
  }
}
