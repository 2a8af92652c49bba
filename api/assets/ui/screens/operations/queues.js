// Queues, live: what waits, what fails, what is paused and by whom; no row moves under the pointer.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { moment } from '../../core/time.js';
import { get, newKey, post, Problem } from '../../api/client.js';
import { Spark } from '../../parts/chart.js';
import { Loaded } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Hold, useLive, useOrder } from './live.js';
import { loadNames, who } from './names.js';

const SAMPLES = 30;
/** Seconds after which the oldest job in a queue is late. */
const LATE = 30;

/** What hurts first: paused with work, then late, then failing, then deep. */
const hurt = (queue) => (queue.is_paused ? 1e9 : 0) + queue.oldest_age * 1e4 + queue.failed_per_minute * 1e3 + queue.depth;

/** Who paused each queue and when, from the audit log. */
async function pauses() {
  const { items } = await get('audit', {}, { event: 'queue_paused', limit: 200 });
  const found = {};
  for (const entry of items) found[entry.detail?.queue] ??= entry;
  return found;
}

function State({ queue, paused }) {
  if (queue.is_paused) {
    return html`<span class="tag warn">${t('ops.paused')}</span>
      ${paused && html` <span class="quiet" dir="auto">${t('ops.paused.by', { name: who(paused.actor), when: moment(paused.created_at) })}</span>`}`;
  }
  if (queue.oldest_age > LATE) return html`<span class="tag bad">${t('ops.late')}</span>`;
  return html`<span class="tag">${t('ops.open')}</span>`;
}

export function Queues() {
  const history = useRef({});
  const live = useLive('queues', ({ queues }) => {
    for (const queue of queues) history.current[queue.name] = [...(history.current[queue.name] ?? []), queue.depth].slice(-SAMPLES);
  });
  const { sort, watch } = useOrder();
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(null);
  const [paused, setPaused] = useState({});
  const isPaused = (live.data?.queues ?? []).filter((queue) => queue.is_paused).map((queue) => queue.name).sort().join();
  useEffect(() => {
    loadNames();
    let gone = false;
    if (isPaused) pauses().then((found) => { if (!gone) setPaused(found); }, () => {});
    return () => { gone = true; };
  }, [isPaused]);
  const turn = async (queue) => {
    setProblem(null);
    setBusy(queue.name);
    const name = word('queue', queue.name);
    try {
      await post(queue.is_paused ? 'resume' : 'pause', { queue: queue.name }, {}, { key: newKey() });
      toast(t(queue.is_paused ? 'ops.resumed.said' : 'ops.paused.said', { name }));
      await live.reload();
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); } finally { setBusy(null); }
  };
  return html`<${Hold} live=${live} /><${Loaded} of=${{ ...live, problem: live.data ? null : live.problem }}>${({ queues }) => html`
    <div class="scroll" role="region" tabindex="0" aria-label=${t('ops.queues')} ...${watch}><table class="full acts"><thead><tr>
      <th scope="col">${t('ops.queue')}</th><th scope="col">${t('ops.state')}</th><th scope="col">${t('ops.minute')}</th><th scope="col" class="num">${t('ops.depth')}</th>
      <th scope="col" class="num">${t('ops.oldest')}</th><th scope="col" class="num">${t('ops.running')}</th><th scope="col" class="num">${t('ops.done')}</th>
      <th scope="col" class="num">${t('ops.failed')}</th><th scope="col"><span class="sr">${t('ops.act')}</span></th></tr></thead>
    <tbody>${sort(queues, hurt).map((queue) => html`<tr key=${queue.name} data-queue=${queue.name}>
      <th scope="row">${word('queue', queue.name)}</th><td class="state"><${State} queue=${queue} paused=${paused[queue.name]} /></td>
      <td><${Spark} values=${history.current[queue.name] ?? []} length=${SAMPLES} /></td>
      <td class="num">${number(queue.depth)}</td><td class=${`num${queue.oldest_age > LATE ? ' late' : ''}`}>${t('seconds', { s: queue.oldest_age })}</td>
      <td class="num">${number(queue.running)}</td><td class="num">${number(queue.done_per_minute)}</td>
      <td class=${`num${queue.failed_per_minute ? ' late' : ''}`}>${number(queue.failed_per_minute)}</td>
      <td class="to-right"><button type="button" class="same" aria-disabled=${busy === queue.name} onClick=${() => busy === queue.name || turn(queue)}>
        ${t(queue.is_paused ? 'ops.resume' : 'ops.pause')}<span class="sr"> ${word('queue', queue.name)}</span></button></td></tr>`)}</tbody></table></div>
    <p class="quiet">${t('ops.pause.help')}</p>
    <${ProblemLine} problem=${problem ?? live.problem} onRetry=${problem ? undefined : live.reload} />`}<//>`;
}
