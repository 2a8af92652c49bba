// The frame around every screen, and the screens by their address.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { need, t } from '../../core/i18n.js';
import { go, route } from '../../core/router.js';
import { onKeys } from '../../core/keys.js';
import { heading, pending, said } from '../../core/store.js';
import { Boundary } from '../../parts/boundary.js';
import { Dialog } from '../../parts/dialog.js';
import { Later } from '../../parts/later.js';
import { Toasts } from '../../parts/toast.js';
import { Line } from './line.js';
import { Place, Side } from './side.js';
import { Chat } from '../chat/index.js';

/** Fetched when first needed, with their words. A screen exports `Screen`. */
const SCREENS = {
  chats: ['places', () => import('../chats.js')],
  memory: ['memory', () => import('../memory/index.js')],
  files: ['files', () => import('../files.js')],
  usage: ['work', () => import('../usage.js')],
  projects: ['work', () => import('../projects/index.js')],
  keys: ['places', () => import('../keys.js')],
  connect: ['places', () => import('../connect.js')],
  webhooks: ['places', () => import('../webhooks.js')],
  settings: ['places', () => import('../settings.js')],
  account: ['places', () => import('../account.js')],
  operations: ['work', () => import('../operations/index.js')],
};
async function load(name) {
  const [words, fetcher] = SCREENS[name];
  const [module] = await Promise.all([fetcher(), need(words)]);
  known[name] = module.Screen;
}
/** In the first seconds somebody opens what they came for: that goes first. */
const QUIET = 2_000;
const idle = () => new Promise((done) => { if (globalThis.requestIdleCallback) requestIdleCallback(done); else setTimeout(done, QUIET); });
/** All screens, one at a time while there is nothing else to do: after an upgrade their old addresses are gone. */
async function fetchScreens() {
  for (const name of Object.keys(SCREENS)) {
    await idle();
    try { if (!known[name]) await load(name); } catch { /* asked for again when it is opened */ }
  }
}
const JUMPS = { c: 'chat', m: 'memory/review', p: 'projects', u: 'usage', o: 'operations/queues' };
const known = {};
const helpCard = () => import('./help.js').then((module) => module.Help);

function Fetched({ name }) {
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState(false);
  const Screen = known[name];
  useEffect(() => {
    if (Screen) return;
    // It came between this drawing and now, fetched in the background.
    if (known[name]) {
      redraw((n) => n + 1);
      return;
    }
    // Until it names itself, not by the name of the one before.
    heading.value = { title: t(name === 'chats' ? 'chats.all' : name), actions: null };
    setFailed(false);
    load(name).then(() => redraw((n) => n + 1), () => setFailed(true));
  }, [name]);
  if (Screen) return html`<${Screen} key=${name} />`;
  if (failed) {
    return html`<div class="problem" role="alert"><p>${t('line.outdated')}</p>
      <button type="button" onClick=${() => location.reload()}>${t('reload')}</button></div>`;
  }
  return html`<p class="quiet" role="status">${t('loading')}</p>`;
}

function Nowhere() {
  useEffect(() => { heading.value = { title: 'Rapport', actions: null }; }, []);
  return html`<div class="empty"><p>${t('nothing.here')}</p><a href="#/chat">${t('chat.new')}</a></div>`;
}

function Body() {
  const [first = 'chat'] = route.value.parts;
  if (first === 'chat') return html`<${Chat} />`;
  if (first in SCREENS) return html`<${Fetched} name=${first} />`;
  return html`<${Nowhere} />`;
}

export function Shell() {
  const [drawer, setDrawer] = useState(false);
  const [help, setHelp] = useState(false);
  const main = useRef(null);
  const [first = 'chat'] = route.value.parts;
  useEffect(() => onKeys((name) => {
    if (name === 'Ctrl+Shift+o') return go('chat'), true;
    if (name === '/') return document.getElementById('side-search')?.focus(), true;
    if (name === '?') return setHelp(true), true;
    if (name.startsWith('g ') && name[2] in JUMPS) return go(JUMPS[name[2]]), true;
    return false;
  }), []);
  useEffect(() => { const timer = setTimeout(fetchScreens, QUIET); return () => clearTimeout(timer); }, []);
  const close = () => setDrawer(false);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>${t('skip')}</a>
    <div class="shell">
      <${Side} />
      <div class="column">
        <${Line} />
        <header class="top"><button type="button" class="plain menu" onClick=${() => setDrawer(true)}>${t('menu')}</button>
          <h1 dir="auto">${heading.value.title}</h1><div class="actions">${heading.value.actions}</div></header>
        <main id="main" ref=${main} tabindex="-1"><${Boundary} key=${first}><${Body} /><//></main>
        <nav class="bottom" aria-label=${t('places.main')}>
          <${Place} to=${['chat']} label=${t('chat')} />
          <${Place} to=${['memory', 'review']} label=${t('memory')} badge=${pending.value} />
          <${Place} to=${['usage']} label=${t('usage')} />
          <button type="button" class="plain" onClick=${() => setDrawer(true)}>${t('menu.more')}</button>
        </nav>
      </div>
    </div>
    ${drawer && html`<${Dialog} title="Rapport" onClose=${close}><div class="drawer"><${Side} onGo=${close} /></div><//>`}
    ${help && html`<${Later} load=${helpCard} onClose=${() => setHelp(false)} />`}
    <${Toasts} />
    <div class="sr" aria-live="polite">${said.value}</div>`;
}
