// Markdown as nodes, by an allow-list: no HTML string ever exists. Raw HTML is shown as text, images are links.
import { t } from '../core/i18n.js';
import { copy } from '../core/copy.js';
import { Lexer } from '../vendor/marked.js';

const SAFE = new Set(['http:', 'https:', 'mailto:']);

/** Top-level tokens of a text. */
export const lex = (text) => new Lexer({ gfm: true, breaks: true }).lex(text);

function el(name, children = [], attributes = {}) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** `bn` for words in Bengali script, so that they are set in its face. */
export function script(text) {
  const bengali = (text.match(/[\u0980-\u09ff]/g) ?? []).length;
  return bengali > text.length / 4 ? 'bn' : undefined;
}

function link(href, children, shown) {
  let url;
  try { url = new URL(href); } catch { return children; }
  if (!SAFE.has(url.protocol)) return children;
  const place = url.protocol === 'mailto:' ? url.pathname : url.host;
  const out = [el('a', children, { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow', title: url.href })];
  if (!shown.includes(place)) out.push(el('span', [` (${place})`], { class: 'host' }));
  return out;
}

const UNESCAPE = { '&lt;': '<', '&gt;': '>', '&amp;': '&', '&quot;': '"', '&#39;': "'" };
const plain = (text) => text.replace(/&(?:lt|gt|amp|quot|#39);/g, (all) => UNESCAPE[all]);

export function inline(tokens, depth = 0) {
  if (depth > 20) return tokens.map((token) => token.raw);
  const inner = (token) => inline(token.tokens ?? [], depth + 1);
  return tokens.flatMap((token) => {
    switch (token.type) {
      case 'strong': return [el('strong', inner(token))];
      case 'em': return [el('em', inner(token))];
      case 'del': return [el('del', inner(token))];
      case 'codespan': return [el('code', [plain(token.text)], { dir: 'ltr' })];
      case 'br': return [el('br')];
      case 'link': return link(token.href, inner(token), token.text);
      case 'image': return link(token.href, [t('image', { text: token.text || token.href })], '');
      case 'escape': return [plain(token.text)];
      case 'text': return token.tokens ? inner(token) : [plain(token.text)];
      default: return [token.raw];
    }
  });
}

function list(token, depth) {
  const items = token.items.map((item) => {
    const children = item.tokens.flatMap((part) => (part.type === 'text' ? inline(part.tokens ?? [part], depth + 1) : block(part, depth + 1)));
    if (item.task) children.unshift(item.checked ? '☑ ' : '☐ ');
    return el('li', children, { dir: 'auto' });
  });
  return el(token.ordered ? 'ol' : 'ul', items, { start: token.ordered && token.start !== 1 ? token.start : undefined });
}

function table(token) {
  const cell = (name) => (part, at) => el(name, inline(part.tokens), { dir: 'auto', class: token.align[at] ? `to-${token.align[at]}` : undefined });
  const head = el('thead', [el('tr', token.header.map(cell('th')))]);
  const body = el('tbody', token.rows.map((row) => el('tr', row.map(cell('td')))));
  return el('div', [el('table', [head, body])], { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': t('table') });
}

/** A code block. Open ones (still growing) are not coloured. */
export function code(token, open = false) {
  const language = (token.lang ?? '').split(/\s/)[0].slice(0, 30);
  const words = el('code', [token.text], { dir: 'ltr' });
  const button = el('button', [t('copy')], { type: 'button', class: 'plain' });
  button.addEventListener('click', async () => { button.textContent = (await copy(words.textContent)) ? t('copied') : t('copy.failed'); });
  const head = el('div', [el('span', [language || t('code')]), button], { class: 'code-head' });
  const pre = el('pre', [words], { tabindex: '0', role: 'region', 'aria-label': t('code.of', { name: language || t('code') }) });
  if (!open && language) import('./highlight.js').then(({ colour }) => colour(words, language)).catch(() => {});
  return el('div', [head, pre], { class: 'code' });
}

/** The node of a top-level token, none for blank space. */
export function block(token, depth = 0) {
  if (depth > 20) return [token.raw];
  switch (token.type) {
    case 'space': case 'def': return [];
    case 'paragraph': return [el('p', inline(token.tokens, depth), { dir: 'auto', lang: script(token.text) })];
    case 'heading': return [el(`h${Math.min(6, token.depth + 1)}`, inline(token.tokens, depth), { dir: 'auto', lang: script(token.text) })];
    case 'blockquote': return [el('blockquote', token.tokens.flatMap((part) => block(part, depth + 1)), { dir: 'auto' })];
    case 'list': return [list(token, depth)];
    case 'code': return [code(token)];
    case 'table': return [table(token)];
    case 'hr': return [el('hr')];
    case 'text': return [el('p', inline(token.tokens ?? [token], depth), { dir: 'auto' })];
    default: return token.raw.trim() ? [el('p', [token.raw], { dir: 'auto' })] : [];
  }
}

/** All of a text. */
export const draw = (text) => lex(text).flatMap((token) => block(token));
