// Jobs that failed for good: why, and run again or put away; one, the marked ones, or all that match.
import { html, useEffect, useState } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { say } from '../../core/store.js';
import { get, Problem } from '../../api/client.js';
import { Confirm } from '../../parts/dialog.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { act, actOnAll, firstPage } from './all-dead.js';
import { DeadRow } from './dead-row.js';
import { loadNames } from './names.js';

const KINDS = ['chat', 'title', 'memory_extraction', 'embedding', 'consolidation', 'backfill', 'import', 'chat_import', 'export', 'mail', 'erase', 'account_export', 'webhook', 'probe'];
const QUEUES = ['chat', 'background', 'memory', 'probe'];
const ROUTES = { retry: 'retryDead', discard: 'discardDead' };

function Pick({ name, label, value, onPick, group, choices }) {
  return html`<div class="row"><label class="quiet" for=${`dead-${name}`}>${label}</label>
    <select id=${`dead-${name}`} value=${value} onChange=${(event) => onPick(event.target.value)}><option value="">${t('any')}</option>
      ${choices.map((one) => html`<option key=${one} value=${one}>${word(group, one)}</option>`)}</select></div>`;
}

export function Dead() {
  const [kind, setKind] = useState('');
  const [queue, setQueue] = useState('');
  const filter = { kind, queue };
  const list = useLoad(() => firstPage(filter), [kind, queue]);
  const [marked, setMarked] = useState(() => new Set());
  const [asking, setAsking] = useState(null);
  const [busy, setBusy] = useState('');
  const [answer, setAnswer] = useState('');
  const [problem, setProblem] = useState(null);
  useEffect(loadNames, []);
  useEffect(() => { setMarked(new Set()); setAnswer(''); }, [kind, queue]);
  const mark = (id) => setMarked((old) => { const next = new Set(old); if (!next.delete(id)) next.add(id); return next; });
  /** `which`: {ids}, or {n} of all that match. */
  const run = async (verb, { ids, n: known }) => {
    setProblem(null);
    const most = ids?.length ?? known;
    const told = (n) => setBusy(t('ops.dead.busy', { n, m: Math.max(n, most) }));
    told(0);
    try {
      const done = await (ids ? act(ROUTES[verb], ids, told) : actOnAll(ROUTES[verb], filter, told));
      const text = t(`ops.dead.${verb}.done`, { n: done, m: Math.max(done, most) });
      setAnswer(text);
      if (ids?.length === 1) toast(text); else say(text);
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
    setBusy('');
    setMarked(new Set());
    list.reload();
  };
  const ask = (verb, which) => (verb === 'discard' ? setAsking(which) : run(verb, which));
  const more = async () => {
    const next = await get('dead', {}, { ...filter, limit: 200, cursor: list.data.next_cursor });
    list.set((old) => ({ ...old, items: [...old.items, ...next.items], next_cursor: next.next_cursor }));
  };
  const many = [...marked];
  const some = { ids: many };
  const asked = asking && { n: asking.ids?.length ?? asking.n };
  return html`<div class="row filters"><${Pick} name="kind" label=${t('ops.kind')} value=${kind} onPick=${setKind} group="job" choices=${KINDS} />
      <${Pick} name="queue" label=${t('ops.queue')} value=${queue} onPick=${setQueue} group="queue" choices=${QUEUES} />
      <button type="button" onClick=${() => { setAnswer(''); list.reload(); }}>${t('ops.refresh')}</button></div>
    <p role="status" class="answer-line">${busy || answer}</p>
    <${ProblemLine} problem=${problem} />
    <${Loaded} of=${list}>${({ items, total, next_cursor: next }) => (items.length ? html`
      <div class="row many">${many.length ? html`
          <button type="button" class="act" disabled=${!!busy} onClick=${() => ask('retry', some)}>${t('ops.retry.marked', { n: many.length })}</button>
          <button type="button" disabled=${!!busy} onClick=${() => ask('discard', some)}>${t('ops.discard.marked', { n: many.length })}</button>
          <button type="button" class="plain" onClick=${() => setMarked(new Set())}>${t('ops.unmark')}</button>`
        : html`<button type="button" disabled=${!!busy} onClick=${() => ask('retry', { n: total })}>${t('ops.retry.all', { n: total })}</button>
          <button type="button" disabled=${!!busy} onClick=${() => ask('discard', { n: total })}>${t('ops.discard.all', { n: total })}</button>`}
        <span class="grow"></span><button type="button" class="plain" onClick=${() => setMarked(new Set(items.map((job) => job.id)))}>${t('ops.mark.shown', { n: items.length })}</button></div>
      <ul class="dead-list">${items.map((job) => html`<${DeadRow} key=${job.id} job=${job} marked=${marked.has(job.id)} busy=${!!busy}
        onMark=${() => mark(job.id)} onAct=${(verb) => ask(verb, { ids: [job.id] })} />`)}</ul>
      <${More} shown=${!!next} onMore=${more} />` : html`<${Empty} text=${t(kind || queue ? 'ops.dead.none.match' : 'ops.dead.none')} />`)}<//>
    ${asking && html`<${Confirm} title=${t('ops.discard.title', asked)} text=${t('ops.discard.text')}
      verb=${t('ops.discard.n', asked)} onYes=${() => run('discard', asking)} onClose=${() => setAsking(null)} />`}`;
}
