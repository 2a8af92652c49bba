// Files: what was sent, what became of it, and what they say about a question.
import { html, useEffect, useState } from '../core/dom.js';
import { number, t } from '../core/i18n.js';
import { composing } from '../core/ime.js';
import { download } from '../core/copy.js';
import { ago, full } from '../core/time.js';
import { go, route } from '../core/router.js';
import { heading } from '../core/store.js';
import { get, post, Problem, problemOf, raw, remove } from '../api/client.js';
import { onEvents } from '../api/events.js';
import { Choose, useDrop } from '../parts/choose.js';
import { Confirm } from '../parts/dialog.js';
import { Empty, Loaded, More, useLoad } from '../parts/list.js';
import { ProblemLine } from '../parts/problem.js';
import { toast } from '../parts/toast.js';
import { useSending } from './files/add.js';
import { Found } from './files/found.js';

const PAGE = 50;
const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];

function size(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return number(bytes / 1000 ** power, { style: 'unit', unit: UNITS[power], unitDisplay: 'short', maximumFractionDigits: power > 1 ? 1 : 0 });
}

/** A text fills at once; a file that cannot be read says why. */
function State({ file }) {
  if (file.status === 'failed') return html`<span class="tag bad">${t('files.failed')}</span> <span dir="auto">${file.error}</span>`;
  if (file.status === 'indexed') return [file.pages && t('files.pages', { n: file.pages }), t('files.passages', { n: file.passages })].filter(Boolean).join(' · ');
  return html`<span class="tag">${t(`files.${file.status}`)}</span>`;
}

function Line({ file, act }) {
  const { name } = file;
  return html`<tr role="row"><th role="rowheader" scope="row" dir="auto">${name}</th>
    <td role="cell" data-label=${t('files.col.kind')}>${file.kind.toUpperCase()}</td>
    <td role="cell" class="num" data-label=${t('files.col.size')}>${size(file.bytes)}</td>
    <td role="cell" data-label=${t('files.col.state')}><${State} file=${file} /></td>
    <td role="cell" data-label=${t('files.col.when')}><span title=${full(file.created_at)}>${ago(file.created_at)}</span></td>
    <td role="cell"><button type="button" class="plain" aria-label=${t('files.save.of', { name })} onClick=${act.save}>${t('files.save')}</button>
      ${file.status === 'failed' && html`<button type="button" class="plain" aria-label=${t('files.again.of', { name })} onClick=${act.again}>${t('files.again')}</button>`}
      <button type="button" class="plain" aria-label=${t('files.delete.of', { name })} onClick=${act.drop}>${t('delete')}</button></td></tr>`;
}

function Search({ q }) {
  const [query, setQuery] = useState(q);
  useEffect(() => setQuery(q), [q]);
  const search = (event) => { event.preventDefault(); go(query.trim() ? `files?q=${encodeURIComponent(query.trim())}` : 'files'); };
  return html`<form class="row chats-top" role="search" onSubmit=${search}><label class="sr" for="files-search">${t('files.search')}</label>
    <input id="files-search" class="grow" type="search" dir="auto" placeholder=${t('files.search')} value=${query}
      onInput=${(event) => { setQuery(event.target.value); if (!event.target.value && q) go('files'); }}
      onKeyDown=${(event) => { if (event.key === 'Enter' && composing(event)) event.preventDefault(); }} />
    <button type="submit">${t('files.find')}</button></form>`;
}

export function Screen() {
  const q = route.value.query.get('q')?.trim() ?? '';
  const list = useLoad(() => get('files', {}, { limit: PAGE }), []);
  const [asking, setAsking] = useState(null);
  const [problem, setProblem] = useState(null);
  const title = t('files');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  // What is read, or came to nothing, says so by its job.
  useEffect(() => onEvents((name, data) => { if (name === 'job' && data.kind === 'ingest') list.reload(); }), []);
  const sending = useSending(() => list.reload());
  const act = (doing) => async () => {
    setProblem(null);
    try { await doing(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const save = (file) => act(async () => {
    const response = await raw('GET', 'fileContent', { places: { id: file.id } });
    if (!response.ok) throw await problemOf(response);
    download(file.name, await response.blob());
  });
  const again = (file) => act(async () => { await post('fileRetry', { id: file.id }); list.reload(); });
  const drop = (file) => act(async () => { await remove('file', { id: file.id }); toast(t('files.deleted')); list.reload(); })();
  const more = async () => {
    const next = await get('files', {}, { limit: PAGE, cursor: list.data.next_cursor });
    list.set((old) => ({ ...next, items: [...old.items, ...next.items.filter(({ id }) => !old.items.some((one) => one.id === id))] }));
  };
  const { over, drag } = useDrop(sending.add);
  return html`<div class=${`page chats-page${over ? ' over' : ''}`} ...${drag}><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    <div class="row"><p class="quiet grow">${t('files.text')}</p><${Choose} label=${t('files.add')} onFiles=${sending.add} act /></div>
    <${Search} q=${q} />
    ${sending.shown}
    <${ProblemLine} problem=${problem} />
    ${q ? html`<${Found} key=${q} q=${q} />` : html`<${Loaded} of=${list}>${({ items, next_cursor: next }) => (items.length ? html`<div class="scroll card" role="region" tabindex="0" aria-label=${title}><table class="wide-table" role="table">
      <thead role="rowgroup"><tr role="row">${['name', 'kind', 'size', 'state', 'when'].map((one) => html`<th role="columnheader" scope="col" key=${one} class=${one === 'size' ? 'num' : ''}>${t(`files.col.${one}`)}</th>`)}<td role="cell"></td></tr></thead>
      <tbody role="rowgroup">${items.map((file) => html`<${Line} key=${file.id} file=${file} act=${{ save: save(file), again: again(file), drop: () => setAsking(file) }} />`)}</tbody></table></div>
      <${More} shown=${next} onMore=${more} />` : html`<${Empty} text=${t('files.empty')} />`)}<//>`}
    ${asking && html`<${Confirm} title=${t('files.delete')} text=${t('files.delete.text', { name: asking.name })} verb=${t('delete')} onClose=${() => setAsking(null)} onYes=${() => drop(asking)} />`}</div>`;
}
