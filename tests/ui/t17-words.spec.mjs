// T17: every word is there in both languages, with the same places in it, and no template has words of its own.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { UI, moduleOf } from './harness.mjs';

const own = fs.readdirSync(UI, { recursive: true }).filter((name) => name.endsWith('.js') && !/^(vendor|words)\//.test(name));
const source = (name) => fs.readFileSync(path.join(UI, name), 'utf8');
const places = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join();
const forms = (word) => (typeof word === 'string' ? { other: word } : word);

/** All words of a language: those of the first screen, and those that come with other screens. */
async function words(language, context) {
  const more = fs.readdirSync(path.join(UI, 'words', language)).map((name) => `words/${language}/${name}`);
  const all = {};
  for (const name of [`words/${language}.js`, ...more]) {
    for (const group of Object.values(await moduleOf(name, context))) {
      for (const [key, word] of Object.entries(group)) {
        assert.ok(!(key in all) || JSON.stringify(all[key]) === JSON.stringify(word), `${key}: two wordings in ${language}`);
        all[key] = word;
      }
    }
  }
  return all;
}

test('English and Bengali have the same keys, each with the same places to fill', async (context) => {
  const [en, bn] = [await words('en', context), await words('bn', context)];
  const faults = [];
  for (const key of new Set([...Object.keys(en), ...Object.keys(bn)])) {
    if (!(key in en) || !(key in bn)) { faults.push(`${key}: only in ${key in en ? 'en' : 'bn'}`); continue; }
    for (const [language, word] of [['en', en[key]], ['bn', bn[key]]]) {
      const all = forms(word);
      if (!('other' in all)) faults.push(`${key}: no “other” in ${language}`);
      for (const [form, text] of Object.entries(all)) {
        if (typeof text !== 'string' || !text.trim()) faults.push(`${key}.${form}: empty in ${language}`);
        // “Said once” needs no number.
        else if (places(text) !== places(forms(en[key]).other) && !(form === 'one' && places(text.concat('{n}')) === places(forms(en[key]).other))) faults.push(`${key}.${form}: ${language} has ${places(text)}, not ${places(forms(en[key]).other)}`);
      }
      for (const category of new Intl.PluralRules(language).resolvedOptions().pluralCategories) {
        if (typeof word === 'object' && !(category in word)) faults.push(`${key}: no “${category}” in ${language}`);
      }
    }
    if (/\p{Script=Bengali}/u.test(JSON.stringify(en[key]))) faults.push(`${key}: Bengali among the English words`);
  }
  assert.deepEqual(faults, []);
});

test('every word that a screen asks for is there', async (context) => {
  const en = await words('en', context);
  const missing = [];
  for (const name of own) {
    for (const [, key] of source(name).matchAll(/\bt\('([^']+)'/g)) if (!(key in en)) missing.push(`${name}: ${key}`);
    for (const [, choice] of source(name).matchAll(/\bt\((\w[^()]*\?[^()]*)/g)) {
      for (const [, key] of choice.matchAll(/[?:]\s*'([^']+)'/g)) if (!(key in en)) missing.push(`${name}: ${key}`);
    }
  }
  assert.deepEqual(missing, []);
});

/** The templates of a file without what is filled in, each part filled in being read on its own. */
function templates(text) {
  const found = [];
  const read = (at) => {
    let out = '';
    for (; at < text.length; at += 1) {
      if (text[at] === '\\') { at += 1; continue; }
      if (text[at] === '`') break;
      if (text[at] === '$' && text[at + 1] === '{') { at = skip(at + 2); out += ' '; } else out += text[at];
    }
    return [out, at];
  };
  const skip = (at) => {
    for (let depth = 0; at < text.length; at += 1) {
      if (text[at] === '}' && depth === 0) return at;
      if (text[at] === '{') depth += 1;
      else if (text[at] === '}') depth -= 1;
      else if (text[at] === "'" || text[at] === '"') { const quote = text[at]; for (at += 1; text[at] !== quote && at < text.length; at += 1) if (text[at] === '\\') at += 1; }
      else if (text[at] === '`') { const tagged = text.slice(at - 4, at) === 'html'; const [out, end] = read(at + 1); if (tagged) found.push(out); at = end; }
    }
    return at;
  };
  for (let at = text.indexOf('html`'); at >= 0; at = text.indexOf('html`', at)) {
    const [out, end] = read(at + 5);
    found.push(out);
    at = end;
  }
  return found;
}

test('no template has words of its own', () => {
  const faults = [];
  for (const name of own) {
    for (const template of templates(source(name))) {
      // Keys and what one types into a terminal are the same in every language, and so is the name.
      const bare = template.replace(/<(kbd|code|pre|svg)\b[^>]*>.*?<\/\1>/gs, ' ').replace(/<[^>]*>/g, ' ').replace(/\bRapport\b/g, ' ');
      const words = bare.match(/\p{L}{2,}/gu);
      if (words) faults.push(`${name}: ${words.join(' ')}`);
      for (const [, attribute, said] of template.matchAll(/\b(title|placeholder|aria-label|alt|label)="([^"]*\p{L}{2,}[^"]*)"/gu)) {
        if (said !== 'Rapport' && !said.startsWith('https://')) faults.push(`${name}: ${attribute}="${said}"`);
      }
    }
  }
  assert.deepEqual(faults, []);
});
