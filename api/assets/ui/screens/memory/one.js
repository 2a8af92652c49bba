// One memory: what, from which sentence, how it changed and by whom; each change can be undone.
import { html, useState } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { day, moment } from '../../core/time.js';
import { go, href } from '../../core/router.js';
import { call, get, insistently, newKey, post, Problem } from '../../api/client.js';
import { Confirm } from '../../parts/dialog.js';
import { Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { Source } from '../../parts/source.js';
import { toast } from '../../parts/toast.js';
import { Diff, facts } from './card.js';

function Change({ change, latest, onUndo }) {
  const { before, after } = change;
  const words = before && after && before.content !== after.content;
  return html`<li><p><strong>${word('actor', change.actor)}</strong> · ${word('action', change.action)} · <span class="quiet">${moment(change.created_at)}</span></p>
    ${words ? html`<${Diff} before=${before.content} after=${after.content} />` : after && !before ? html`<p dir="auto">${after.content}</p>` : null}
    ${before && after && before.status !== after.status ? html`<p class="quiet">${word('status', before.status)} → ${word('status', after.status)}</p>` : null}
    ${change.undone_at ? html`<p class="quiet">${t('undone.at', { when: moment(change.undone_at) })}</p>`
      : latest && before ? html`<button type="button" onClick=${onUndo}>${t('undo')}</button>` : null}</li>`;
}

export function One({ id }) {
  const found = useLoad(() => Promise.all([get('memory', { id }), get('memoryHistory', { id }), get('related', { id }, { depth: 1 })]), [id]);
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(false);
  const act = async (doing, text) => {
    setProblem(null);
    try { await insistently(doing); toast(text); found.reload(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  return html`<${Loaded} of=${found}>${([memory, history, related]) => {
    const changes = [...history.changes].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    const last = changes.find((change) => !change.undone_at);
    const live = ['pending', 'confirmed'].includes(memory.status);
    const key = newKey();
    const verify = (action) => act(() => post('verify', { id }, { action }, { key }), t(action === 'confirm' ? 'kept' : 'forgotten'));
    return html`<article class="page-part"><div class="memory-card" tabindex="-1"><div class="what"><h2 dir="auto">${memory.content}</h2>
        <p class="quiet">${facts(memory)} · ${word('status', memory.status)}</p>
        <p class="quiet">${t('times', { n: memory.support })} · ${t('used', { n: memory.access_count })}${memory.valid_from ? ` · ${t('holds.from', { when: day(memory.valid_from) })}` : ''}${memory.expires_at ? ` · ${t('until', { when: day(memory.expires_at) })}` : ''}</p>
        <div class="row">${memory.status === 'pending' && html`<button type="button" class="act" onClick=${() => verify('confirm')}>${t('keep')}</button>`}
          ${live && html`<button type="button" onClick=${() => verify('reject')}>${t('forget')}</button>`}
          <button type="button" aria-pressed=${memory.is_private} onClick=${() => act(() => post('privacy', {}, { memory_ids: [id], is_private: !memory.is_private }), t('saved'))}>${t('private')}</button>
          ${memory.merged_from?.length > 0 && live && html`<button type="button" onClick=${() => act(() => post('unmerge', { id }), t('undone'))}>${t('unmerge')}</button>`}
          <button type="button" class="plain" onClick=${() => setAsking(true)}>${t('delete')}</button></div></div>
        <div class="stitch"><${Source} memory=${memory} whole /></div></div>
      <${ProblemLine} problem=${problem} />
      ${related.length > 0 && html`<h3>${t('related')}</h3><ul class="memory-list">${related.map(({ memory: other, relationship }) => html`<li key=${other.id}>
        <a href=${href('memory', other.id)} dir="auto">${other.content}</a><span class="quiet">${word('relation', relationship)}</span></li>`)}</ul>`}
      <h3>${t('history')}</h3><ol class="history">${changes.map((change) => html`<${Change} key=${change.id} change=${change} latest=${change === last}
        onUndo=${() => act(() => post('undo', { id }), t('undone'))} />`)}</ol>
      ${asking && html`<${Confirm} title=${t('delete')} text=${t('memory.delete.text')} verb=${t('delete')} onClose=${() => setAsking(false)}
        onYes=${async () => { await call('DELETE', 'memory', { places: { id } }); toast(t('deleted')); go('memory/all', { replace: true }); }} />`}</article>`;
  }}<//>`;
}
