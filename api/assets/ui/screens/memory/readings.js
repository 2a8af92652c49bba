// What was read when, with what came of it and what it cost; and reading a chat again, first as a dry run.
import { html, useState } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { moment } from '../../core/time.js';
import { get, newKey, post, Problem } from '../../api/client.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';

function Again({ session }) {
  const [difference, setDifference] = useState(null);
  const [problem, setProblem] = useState(null);
  const run = async (dry) => {
    setProblem(null);
    try {
      const made = await post('extract', {}, { session_id: session, dry_run: dry }, { key: newKey(), headers: { Prefer: 'wait=60' } });
      if (dry) setDifference(made.result ?? made);
      else { toast(t('reading.started')); setDifference(null); }
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  return html`<button type="button" class="plain" onClick=${() => run(true)}>${t('reading.again')}</button><${ProblemLine} problem=${problem} />
    ${difference && html`<div class="card"><ul>${['added', 'removed', 'changed', 'blocked'].map((kind) => {
      const value = difference[kind];
      return html`<li key=${kind}>${t(`reading.${kind}`)}: ${Array.isArray(value) ? number(value.length) : number(value ?? 0)}</li>`;
    })}</ul><button type="button" class="act" onClick=${() => run(false)}>${t('reading.do')}</button></div>`}`;
}

export function Readings() {
  const list = useLoad(() => get('runs', {}, { limit: 50 }), []);
  const more = async () => { const next = await get('runs', {}, { limit: 50, skip: list.data.length }); list.set((old) => [...old, ...next]); };
  return html`<${Loaded} of=${list}>${(runs) => (runs.length ? html`<div class="scroll" role="region" tabindex="0" aria-label=${t('memory.readings')}><table>
    <thead><tr><th>${t('reading.when')}</th><th>${t('chat')}</th><th>${t('reading.outcome')}</th><th class="num">${t('reading.facts')}</th><th class="num">${t('reading.created')}</th><th>${t('reading.model')}</th><th class="num">${t('reading.tokens')}</th><td></td></tr></thead>
    <tbody>${runs.map((run) => html`<tr key=${`${run.session_id}-${run.from_seq}-${run.created_at}`}><td>${moment(run.created_at)}</td><td><a href=${`#/chat/${run.session_id}`}>${t('open')}</a></td>
      <td>${word('outcome', run.outcome)}</td><td class="num">${number(run.facts)}</td><td class="num">${number(run.created)}</td><td>${run.model ?? ''}</td>
      <td class="num">${run.usage ? number(run.usage.total_tokens) : ''}</td><td><${Again} session=${run.session_id} /></td></tr>`)}</tbody></table></div>
    <${More} shown=${runs.length % 50 === 0} onMore=${more} />` : html`<${Empty} text=${t('readings.empty')} />`)}<//>`;
}
