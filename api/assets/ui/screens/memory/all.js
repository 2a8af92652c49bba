// Everything that is remembered: by status and kind, or searched by words and meaning, each hit with its reasons.
import { html, useEffect, useState } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { composing } from '../../core/ime.js';
import { day } from '../../core/time.js';
import { href } from '../../core/router.js';
import { get, newKey, post, Problem } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';

const KINDS = ['preference', 'fact', 'topic', 'relationship', 'goal', 'experience'];
const PARTS = ['keyword', 'semantic', 'recency', 'importance'];

/** Why a search found it: small bars, with their figures. */
function Why({ explain }) {
  if (!explain) return null;
  return html`<details><summary class="quiet">${t('search.why')}</summary><div class="why-bars">${PARTS.map((part) => html`
    <span key=${part}>${t(`search.${part}`)}</span><meter min="0" max="1" value=${explain[part] ?? 0} aria-label=${t(`search.${part}`)}></meter>
    <span>${number(explain[part] ?? 0, { maximumFractionDigits: 2 })}</span>`)}</div></details>`;
}

export function Row({ memory, explain }) {
  return html`<li><a href=${href('memory', memory.id)} dir="auto">${memory.content}</a>
    ${memory.source?.quote && html`<blockquote dir="auto">“${memory.source.quote}”</blockquote>`}
    <p class="quiet">${word('type', memory.memory_type)} · ${word('status', memory.status)} · ${day(memory.updated_at)}${memory.is_private ? ` · ${t('private')}` : ''}</p>
    <${Why} explain=${explain} /></li>`;
}

function Add({ onDone, onClose }) {
  const [content, setContent] = useState('');
  const [kind, setKind] = useState('fact');
  const [problem, setProblem] = useState(null);
  const [key] = useState(newKey);
  const add = async (event) => {
    event.preventDefault();
    try { await post('memories', {}, { content, memory_type: kind }, { key }); onDone(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const errors = byField(problem);
  return html`<${Dialog} title=${t('memory.add')} onClose=${onClose}><form onSubmit=${add}>
    <${Field} name="content" label=${t('correct.label')} rows=${3} value=${content} onInput=${setContent} error=${errors.content} required />
    <${Field} name="kind" label=${t('memory.kind')} value=${kind} onInput=${setKind}>${KINDS.map((one) => html`<option key=${one} value=${one}>${word('type', one)}</option>`)}<//>
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <button type="submit" class="act">${t('save')}</button></form><//>`;
}

export function All() {
  const [query, setQuery] = useState('');
  const [asked, setAsked] = useState('');
  const [asOf, setAsOf] = useState('');
  const [status, setStatus] = useState('');
  const [kind, setKind] = useState('');
  const [adding, setAdding] = useState(false);
  const list = useLoad(async () => {
    if (!asked) return get('memories', {}, { limit: 50, status, memory_type: kind });
    const body = { query: asked, limit: 50, explain: true };
    if (kind) body.memory_type = kind;
    if (asOf) body.as_of = new Date(asOf).toISOString();
    const hits = await post('memorySearch', {}, body);
    return { items: hits.map((hit) => ({ ...hit.memory, explain: hit.explain })), total: hits.length, next_cursor: null };
  }, [asked, asOf, status, kind]);
  const [at, setAt] = useState(50);
  useEffect(() => setAt(50), [asked, asOf, status, kind]);
  const more = async () => {
    const next = await get('memories', {}, { limit: 50, status, memory_type: kind, skip: at });
    setAt(at + 50);
    list.set((old) => ({ ...old, items: [...old.items, ...next.items] }));
  };
  const key = (event) => { if (event.key === 'Enter' && !composing(event)) { event.preventDefault(); setAsked(query.trim()); } };
  return html`<div class="row"><label class="sr" for="memory-search">${t('memory.search')}</label>
      <input id="memory-search" class="grow" type="search" dir="auto" placeholder=${t('memory.search')} value=${query}
        onInput=${(event) => { setQuery(event.target.value); if (!event.target.value) setAsked(''); }} onKeyDown=${key} />
      <label class="quiet">${t('memory.as.of')} <input type="date" value=${asOf} onInput=${(event) => setAsOf(event.target.value)} /></label>
      <label class="quiet">${t('memory.kind')} <select value=${kind} onChange=${(event) => setKind(event.target.value)}><option value="">${t('any')}</option>
        ${KINDS.map((one) => html`<option key=${one} value=${one}>${word('type', one)}</option>`)}</select></label>
      <label class="quiet">${t('memory.status')} <select value=${status} onChange=${(event) => setStatus(event.target.value)}><option value="">${t('status.live')}</option>
        ${['pending', 'confirmed', 'rejected', 'superseded', 'merged', 'expired'].map((one) => html`<option key=${one} value=${one}>${word('status', one)}</option>`)}</select></label>
      <button type="button" onClick=${() => setAdding(true)}>${t('memory.add')}</button></div>
    <${Loaded} of=${list}>${(data) => (data.items.length ? html`<p class="quiet" role="status">${t('memory.count', { n: data.total })}</p>
      <ul class="memory-list">${data.items.map((memory) => html`<${Row} key=${memory.id} memory=${memory} explain=${memory.explain} />`)}</ul>
      <${More} shown=${!asked && data.items.length < data.total} onMore=${more} />` : html`<${Empty} text=${t(asked ? 'search.empty' : 'memory.empty')} />`)}<//>
    ${adding && html`<${Add} onClose=${() => setAdding(false)} onDone=${() => { setAdding(false); list.reload(); }} />`}`;
}
