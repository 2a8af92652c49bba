// One dead job: a line with its error, opened to its tries, times, owner and request.
import { html, useEffect, useState } from '../../core/dom.js';
import { need, t, word } from '../../core/i18n.js';
import { ago, moment } from '../../core/time.js';
import { user } from '../../core/store.js';
import { told } from '../../core/wrong.js';
import { get } from '../../api/client.js';
import { Loaded, useLoad } from '../../parts/list.js';
import { who } from './names.js';

/** What of a job only its owner may read: tries of providers, how often it crashed. */
function Own({ id }) {
  const job = useLoad(() => get('job', { id }), [id]);
  return html`<${Loaded} of=${job}>${({ tries, crashes, max_attempts: most, attempt, session_id: session }) => html`
    <p class="quiet">${t('ops.attempts', { n: attempt, m: most })}${crashes ? ` · ${t('ops.crashes', { n: crashes })}` : ''}
      ${session && html` · <a href=${`#/chat/${session}`}>${t('ops.chat')}</a>`}</p>
    ${tries?.length > 0 && html`<h4>${t('ops.tries')}</h4><ol class="tries">${tries.map((one, at) => html`<li key=${at}>
      <span dir="auto">${[one.provider, one.model].filter(Boolean).join(' · ')}</span> <span class="quiet" dir="auto">${typeof one.error === 'object' ? one.error?.detail ?? one.error?.code ?? '' : one.error ?? ''}${one.ms !== undefined && one.ms !== null ? ` · ${t('millis', { ms: one.ms })}` : ''}</span></li>`)}</ol>`}`}<//>`;
}

function Fact({ name, children }) {
  return html`<div><dt>${t(name)}</dt><dd dir="auto">${children}</dd></div>`;
}

/** What was wrong with which field: kept with the job, so that no answer brought the words for it. */
function Fields({ errors }) {
  const [, redraw] = useState(0);
  useEffect(() => { need('wrong').then(() => redraw(1), () => {}); }, []);
  return html`<ul>${errors.map((one, at) => html`<li key=${at} dir="auto"><code>${one.field}</code> ${told(one)}</li>`)}</ul>`;
}

export function DeadRow({ job, marked, busy, onMark, onAct }) {
  const [open, setOpen] = useState(false);
  const { error } = job;
  const text = error?.detail || error?.title || error?.code || t('problem.unknown');
  const name = word('job', job.kind);
  return html`<li class=${marked ? 'marked' : ''}><div class="dead-line">
      <input type="checkbox" checked=${marked} onChange=${onMark} aria-label=${t('ops.mark.one', { name, id: job.id })} />
      <div class="grow"><p><strong>${name}</strong> <span class="quiet">${word('queue', job.queue)} · ${t('ops.attempt', { n: job.attempt })} · <span title=${job.finished_at ? moment(job.finished_at) : ''}>${ago(job.finished_at ?? job.created_at)}</span></span></p>
        <p class="why-dead" dir="auto">${text}</p></div>
      <div class="row"><button type="button" disabled=${busy} onClick=${() => onAct('retry')}>${t('ops.retry')}<span class="sr"> ${job.id}</span></button>
        <button type="button" disabled=${busy} onClick=${() => onAct('discard')}>${t('ops.discard')}<span class="sr"> ${job.id}</span></button>
        <button type="button" class="plain" aria-expanded=${open} onClick=${() => setOpen(!open)}>${t('ops.why')}<span class="sr"> ${job.id}</span></button></div></div>
    ${open && html`<div class="dead-open"><dl class="facts">
      <${Fact} name="ops.error">${[error?.status, error?.code].filter(Boolean).join(' ')}<//>
      <${Fact} name="ops.user">${who(job.user_id)}${job.user_id && who(job.user_id) !== job.user_id ? html` <code>${job.user_id}</code>` : ''}<//>
      <${Fact} name="ops.job"><code>${job.id}</code><//>
      <${Fact} name="ops.request">${error?.request_id ? html`<code>${error.request_id}</code>` : t('ops.unknown')}<//>
      <${Fact} name="ops.made">${moment(job.created_at)}<//>
      <${Fact} name="ops.ended">${job.finished_at ? moment(job.finished_at) : t('ops.unknown')}<//></dl>
      ${error?.errors?.length > 0 && html`<${Fields} errors=${error.errors} />`}
      ${job.user_id === user.value?.id ? html`<${Own} id=${job.id} />` : html`<p class="quiet">${t('ops.payload.private')}</p>`}
      ${error && html`<details><summary>${t('details')}</summary><pre class="scroll" role="region" tabindex="0" aria-label=${t('ops.error')}>${JSON.stringify(error, null, 2)}</pre></details>`}</div>`}</li>`;
}
