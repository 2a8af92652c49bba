// Words and numbers in the reader's language. A word is a string with {names}, or {one, other} chosen by {n}.
import { signal } from './dom.js';
import { en } from '../words/en.js';

/** Words of the first screen; those of a group of screens come with it (`need`). */
const loaded = { en: { ...en } };
const needed = new Set();
const fetched = new Map();
export const LANGUAGES = { en: 'English', bn: 'বাংলা' };

export const language = signal('en');

function browsers() {
  for (const tag of navigator.languages || [navigator.language]) {
    const short = String(tag).slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short;
  }
  return 'en';
}

/** Fetches a language's words of one group, once. */
function fetchGroup(lang, group) {
  const key = `${lang}/${group}`;
  if (!fetched.has(key)) {
    const coming = import(`../words/${key}.js`).then((module) => Object.assign(loaded[lang], module[group]));
    fetched.set(key, coming);
    coming.catch(() => fetched.delete(key));
  }
  return fetched.get(key);
}

/** Makes sure that a group's words are there, in English too, which stands in for what is missing. */
export function need(group) {
  needed.add(group);
  return Promise.all([...new Set(['en', language.value])].map((lang) => fetchGroup(lang, group)));
}

/** Fetches a language's words and shows them. */
export async function speak(code) {
  const wanted = code in LANGUAGES ? code : browsers();
  if (!(wanted in loaded)) loaded[wanted] = { ...(await import(`../words/${wanted}.js`))[wanted] };
  await Promise.all([...needed].map((group) => fetchGroup(wanted, group)));
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
  let text = loaded[lang]?.[key] ?? loaded.en[key] ?? key;
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

/** Whether the reader's language itself has words for a key. */
export const known = (key) => key in loaded[language.value];

/** A code of the API in words, or the code itself where we have none. */
export function word(group, code) {
  const key = `${group}.${code}`;
  return key in loaded.en ? t(key) : String(code ?? '');
}
