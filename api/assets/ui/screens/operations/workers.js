// Who does the work: each process with what it takes on and when it was last heard of.
import { html } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { ago, moment } from '../../core/time.js';
import { Empty, Loaded } from '../../parts/list.js';
import { Hold, useLive, useOrder } from './live.js';

/** Seconds without a heartbeat after which a worker is called silent; the API drops it at 30. */
const SILENT = 15;
const silence = (worker) => (Date.now() - new Date(worker.seen_at).getTime()) / 1000;

export function Workers() {
  const live = useLive('queues');
  const { sort, watch } = useOrder();
  return html`<${Hold} live=${live} /><${Loaded} of=${live}>${({ workers }) => (workers.length ? html`
    <div class="scroll" role="region" tabindex="0" aria-label=${t('ops.workers')} ...${watch}><table class="full"><thead><tr>
      <th scope="col">${t('ops.worker')}</th><th scope="col">${t('ops.state')}</th><th scope="col">${t('ops.seen')}</th><th scope="col">${t('ops.takes')}</th>
      <th scope="col" class="num">${t('ops.at.once')}</th><th scope="col">${t('ops.since')}</th></tr></thead>
    <tbody>${sort(workers, silence).map((worker) => html`<tr key=${worker.name}><th scope="row" dir="auto"><code>${worker.name}</code></th>
      <td>${silence(worker) > SILENT ? html`<span class="tag bad">${t('ops.silent')}</span>` : html`<span class="tag ok">${t('ops.alive')}</span>`}</td>
      <td class="one-line">${ago(worker.seen_at)}</td><td>${worker.queues.map((name) => word('queue', name)).join(', ')}</td>
      <td class="num">${number(worker.concurrency)}</td><td class="one-line">${moment(worker.started_at)}</td></tr>`)}</tbody></table></div>`
    : html`<${Empty} text=${t('ops.workers.none')} />`)}<//>`;
}
