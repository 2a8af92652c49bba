// All conversations by day, newest first, endless: searched, kept in order, given out and taken in.
import { html, useEffect, useRef, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { composing } from '../core/ime.js';
import { go, route } from '../core/router.js';
import { heading } from '../core/store.js';
import { get, Problem } from '../api/client.js';
import { onEvents } from '../api/events.js';
import { useDrop } from '../parts/choose.js';
import { Empty, Loaded, useLoad } from '../parts/list.js';
import { ProblemLine } from '../parts/problem.js';
import { toast } from '../parts/toast.js';
import { Days } from './chats/days.js';
import { Import, take } from './chats/import.js';
import { found } from './chats/match.js';
import { leaving, verbs, Verbs } from './chats/verbs.js';

const PAGE = 50;
const STATES = ['active', 'archived', 'all'];

/** An address that keeps what is asked for. */
const address = (q, status) => {
  const query = new URLSearchParams(Object.entries({ q, status: status === 'active' ? '' : status }).filter(([, value]) => value));
  return `chats${String(query) && `?${query}`}`;
};

function Top({ q, status, onFiles }) {
  const [query, setQuery] = useState(q);
  useEffect(() => setQuery(q), [q]);
  const search = (event) => {
    event.preventDefault();
    go(address(query.trim(), status));
  };
  const clear = (event) => { setQuery(event.target.value); if (!event.target.value && q) go(address('', status)); };
  return html`<form class="row chats-top" role="search" onSubmit=${search}>
    <label class="sr" for="chats-search">${t('chats.search')}</label>
    <input id="chats-search" class="grow" type="search" dir="auto" placeholder=${t('chats.search')} value=${query} onInput=${clear}
      onKeyDown=${(event) => { if (event.key === 'Enter' && composing(event)) event.preventDefault(); }} />
    <button type="submit">${t('chats.find')}</button>
    <label class="quiet">${t('chats.show')} <select value=${status} onChange=${(event) => go(address(q, event.target.value))}>
      ${STATES.map((one) => html`<option key=${one} value=${one}>${t(`chats.show.${one}`)}</option>`)}</select></label>
    <${Import} onFiles=${onFiles} /></form>`;
}

/** The next page: by the button, or when the end comes near. Nothing above it moves. */
function End({ cursor, onMore }) {
  const ref = useRef(null);
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const more = async () => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    try { await onMore(); } finally { running.current = false; setBusy(false); }
  };
  useEffect(() => {
    if (!cursor) return undefined;
    const watcher = new IntersectionObserver(([entry]) => { if (entry.isIntersecting) more(); }, { root: document.getElementById('main'), rootMargin: '600px' });
    watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, [cursor]);
  if (!cursor) return null;
  return html`<p class="more" ref=${ref}><button type="button" disabled=${busy} onClick=${more}>${t('more')}</button></p>`;
}

export function Screen() {
  const q = route.value.query.get('q')?.trim() ?? '';
  const asked = route.value.query.get('status');
  const status = STATES.includes(asked) ? asked : 'active';
  const [marked, setMarked] = useState(new Set());
  const [problem, setProblem] = useState(null);
  const [results, setResults] = useState([]);
  const [renaming, setRenaming] = useState(null);
  const list = useLoad(async () => {
    const [page, lines] = await Promise.all([get('sessions', {}, { limit: PAGE, status, q }), q ? found(q) : null]);
    return { ...page, lines };
  }, [q, status]);
  const title = t('chats.all');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  useEffect(() => setMarked(new Set()), [q, status]);
  // A row changes where it stands: nothing moves under the pointer.
  const patchRows = (changed) => list.set((old) => old && { ...old, items: old.items.map((chat) => (changed.has(chat.id) ? { ...chat, ...changed.get(chat.id), place: chat.place ?? place(chat) } : chat)) });
  useEffect(() => onEvents((name, data) => { if (name === 'title') patchRows(new Map([[data.session_id, { title: data.title }]])); }), []);
  const more = async () => {
    try {
      const next = await get('sessions', {}, { limit: PAGE, status, q, cursor: list.data.next_cursor });
      const known = new Set(list.data.items.map(({ id }) => id));
      list.set((old) => ({ ...old, items: [...old.items, ...next.items.filter(({ id }) => !known.has(id))], next_cursor: next.next_cursor }));
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const act = async (name, some) => {
    setProblem(null);
    try {
      await verbs[name](some, { patchRows, failed: setProblem });
      if (name !== 'md' && name !== 'json') setMarked(new Set());
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const files = async (some) => {
    const taken = await take(some);
    setResults(taken);
    const fresh = taken.filter((one) => one.chat).map(({ chat }) => ({ ...chat, place: 'imported' }));
    const sums = taken.filter((one) => one.sum);
    const count = fresh.length + sums.reduce((all, { sum }) => all + sum.sessions, 0);
    const wrong = taken.length - fresh.length - sums.length;
    toast([count ? t('import.sum', { n: count }) : '', wrong ? t('import.sum.wrong', { n: wrong }) : ''].join(' ').trim());
    // Where the chats of another service belong, only the list knows.
    if (sums.length) return list.reload();
    if (fresh.length && !q && status !== 'archived') list.set((old) => old && { ...old, items: [...fresh, ...old.items], total: old.total + fresh.length });
  };
  const { over, drag } = useDrop(files);
  return html`<div class=${`page chats-page${over ? ' over' : ''}`} ...${drag}><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    <${Top} q=${q} status=${status} onFiles=${files} />
    <${Results} results=${results} onClose=${() => setResults([])} />
    <${ProblemLine} problem=${problem} />
    <${Loaded} of=${list}>${(data) => {
      const shown = data.items.filter(({ id }) => !leaving.value.has(id));
      if (!shown.length) return html`<${Empty} text=${t(q ? 'search.empty' : status === 'archived' ? 'chats.empty.archived' : 'chats.empty')}>${!q && status !== 'archived' && html`<a href="#/chat">${t('chat.new')}</a>`}<//>`;
      const some = shown.filter(({ id }) => marked.has(id));
      return html`<p class="quiet" role="status">${t(q ? 'chats.found' : 'chats.count', { n: data.total })}</p>
        <${Days} chats=${shown} lines=${data.lines} q=${q} marked=${marked} setMarked=${setMarked} onAct=${act} patchRows=${patchRows} place=${place} renaming=${renaming} setRenaming=${setRenaming} />
        <${End} cursor=${data.next_cursor} onMore=${more} />
        ${some.length > 0 && html`<div class="chats-bar" role="group" aria-label=${t('chats.marked', { n: some.length })}>
          <strong role="status">${t('chats.marked', { n: some.length })}</strong><${Verbs} chats=${some} onAct=${act} onRename=${some.length === 1 && (() => setRenaming(some[0].id))} />
          <button type="button" class="plain" onClick=${() => setMarked(new Set())}>${t('chats.unmark')}</button></div>`}`;
    }}<//></div>`;
}

/** Where a chat stands: pinned, or the day it was last used. */
function place(chat) {
  return chat.place ?? (chat.is_pinned ? 'pinned' : new Date(chat.updated_at).toDateString());
}

function Results({ results, onClose }) {
  if (!results.length) return null;
  return html`<section class="card import-results" aria-label=${t('import.done')}><div role="status"><ul>${results.map(({ name, at, chat, sum, wrong }) => html`<li key=${`${name}-${at}`}>
    <strong dir="auto">${name}</strong> ${chat ? html`<span class="good">${t('import.took', { n: chat.message_count })}</span> <a href=${`#/chat/${chat.id}`} dir="auto">${chat.title || t('chat.untitled')}</a>`
      : sum ? html`<span class="good">${t('import.file', { n: sum.sessions, messages: sum.messages, branches: sum.branches + sum.variants, known: sum.skipped })}</span>
        ${sum.errors_total > 0 && html`<span class="error" dir="auto">${t('import.file.wrong', { n: sum.errors_total, which: sum.errors[0].conversation, message: sum.errors[0].message })}</span>`}`
      : html`<span class="error" dir="auto">${wrong}</span>`}</li>`)}</ul></div>
    <button type="button" class="plain" onClick=${onClose}>${t('close')}</button></section>`;
}
