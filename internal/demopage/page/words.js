// What the page and its phone say, in English and in Chinese.

import { all, onClick } from './dom.js';

const LANGUAGES = ['en', 'zh'];
const REMEMBERED = 'language';
const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 0]]; // with their seconds

const words = await (await fetch('/assets/words.json')).json(); // [English, Chinese] by name
const listeners = [];
let index = 0;

export const isChinese = () => index === 1;

// knows reports whether there is a sentence of that name.
export const knows = (name) => Object.hasOwn(words, name);

// say returns the sentence of that name, with {these} filled in.
export function say(name, fill = {}) {
  return (words[name][index] ?? words[name][0]).replace(/\{(\w+)\}/g, (_, key) => fill[key] ?? '');
}

// span returns a length of time in words.
export function span(seconds) {
  const [unit, size] = UNITS.find(([, least]) => seconds >= least);
  const style = { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 };
  return new Intl.NumberFormat(LANGUAGES[index], style).format(Math.round(seconds / (size || 1)));
}

// onLanguage calls back whenever the language changes.
export function onLanguage(listener) {
  listeners.push(listener);
}

// speak says everything in a language.
function speak(name) {
  index = LANGUAGES.indexOf(name);
  document.documentElement.lang = isChinese() ? 'zh-CN' : 'en';
  document.title = say('title');
  for (const [attribute, property] of [['text', 'textContent'], ['label', 'ariaLabel'], ['placeholder', 'placeholder'], ['alt', 'alt']]) {
    for (const element of all(`[data-${attribute}]`)) element[property] = say(element.dataset[attribute]);
  }
  for (const button of all('[data-language]')) button.ariaPressed = button.dataset.language === name;
  for (const listener of listeners) listener();
}

// startSpeaking says everything in the language that was chosen on an earlier visit, or else the browser's, until another is
// chosen.
export function startSpeaking() {
  onClick('[data-language]', ({ dataset }) => {
    localStorage.setItem(REMEMBERED, dataset.language);
    speak(dataset.language);
  });
  const chosen = localStorage.getItem(REMEMBERED);
  speak(LANGUAGES.includes(chosen) ? chosen : navigator.language.startsWith('zh') ? 'zh' : 'en');
}
