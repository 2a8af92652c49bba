// Words and numbers in the reader's language. A word is a string with {names}, or {one, other} chosen by {n}.
import { signal } from './dom.js';
import { en } from '../words/en.js';

const loaded = { en };
export const LANGUAGES = { en: 'English', bn: 'বাংলা' };

export const language = signal('en');

function browsers() {
  for (const tag of navigator.languages || [navigator.language]) {
    const short = String(tag).slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short;
  }
  return 'en';
}

/** Fetches a language's words and shows them. */
export async function speak(code) {
  const wanted = code in LANGUAGES ? code : browsers();
  if (!(wanted in loaded)) loaded[wanted] = (await import(`../words/${wanted}.js`))[wanted];
  language.value = wanted;
  document.documentElement.lang = wanted;
}

export function remembered() {
  try { return localStorage.getItem('rapport.language'); } catch { return null; }
}

export function choose(code) {
  try { localStorage.setItem('rapport.language', code); } catch { /* it is asked for again next time */ }
  return speak(code);
}

const fill = (text, names) => text.replace(/\{(\w+)\}/g, (all, name) => (name in names ? String(names[name]) : all));

/** The words for a key; numbers among the names are written in the language's digits. */
export function t(key, names = {}) {
  const lang = language.value;
  let text = loaded[lang]?.[key] ?? en[key] ?? key;
  if (typeof text === 'object') {
    text = text[new Intl.PluralRules(lang).select(Number(names.n))] ?? text.other;
  }
  const written = {};
  for (const [name, value] of Object.entries(names)) {
    written[name] = typeof value === 'number' ? number(value) : value;
  }
  return fill(text, written);
}

export const number = (value, options) => new Intl.NumberFormat(language.value, options).format(value);
export const percent = (value) => number(value, { style: 'percent', maximumFractionDigits: 0 });

/** A code of the API in words, or the code itself where we have none. */
export function word(group, code) {
  const key = `${group}.${code}`;
  return key in en ? t(key) : String(code ?? '');
}
