// An answer: stored, or growing. With its tools, what it was made with, its variants, and what one can do with it.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../../core/dom.js';
import { need, number, t } from '../../core/i18n.js';
import { inField, nameOf } from '../../core/keys.js';
import { copy } from '../../core/copy.js';
import { say } from '../../core/store.js';
import { get, post, Problem } from '../../api/client.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Growing } from '../../text/stream.js';
import { Later } from '../../parts/later.js';
import { Text } from './text.js';

const variants = () => import('./variants.js').then((module) => module.Variants);

const remembered = () => import('./remembered.js').then((module) => module.Remembered);
const Used = ({ memories }) => (memories?.length ? html`<${Later} load=${remembered} memories=${memories} />` : null);
const sources = () => Promise.all([import('./sources.js'), need('files')]).then(([module]) => module.Sources);
const tools = () => import('./tools.js').then((module) => module.Tools);
const Called = ({ tools: list }) => (list?.length ? html`<${Later} load=${tools} tools=${list} />` : null);

function facts(message) {
  const parts = [];
  if (message.model) parts.push(message.model);
  if (message.usage) parts.push(t('tokens', { n: message.usage.total_tokens }));
  if (message.ms >= 1000) parts.push(t('seconds', { s: number(message.ms / 1000, { maximumFractionDigits: 1 }) }));
  else if (message.ms) parts.push(t('millis', { ms: message.ms }));
  return parts.join(' · ');
}

export function Answer({ message, question, chat, last, wait }) {
  const [shown, setShown] = useState(null);
  const [problem, setProblem] = useState(null);
  const [rating, setRating] = useState(message.feedback?.rating ?? null);
  const now = shown ?? message;
  const said = now.sources ?? now.details?.sources ?? [];
  const act = (doing) => async () => {
    setProblem(null);
    try { await doing(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const again = act(() => chat.regenerate(question?.id ?? null));
  const rate = (value) => act(async () => { setRating(value); await post('feedback', { id: message.id }, { rating: value }); say(t('noted')); });
  const keys = (event) => {
    if (inField(event.target)) return;
    const name = nameOf(event);
    if (name === 'r' && last) { event.preventDefault(); again(); }
    if (name === 'c') { event.preventDefault(); copy(now.content).then(() => toast(t('copied'))); }
  };
  if (message.status === 'failed' && !message.content) return html`<${Failed} message=${message} chat=${chat} />`;
  return html`<article class="message answer" id=${message.id} tabindex="-1" aria-label=${t('answer')} onKeyDown=${keys}>
    <div class="body"><${Called} tools=${now.tool_calls ?? now.details?.tool_calls} />
      <${Text} text=${now.content} wait=${wait} />
      ${said.length > 0 && html`<${Later} load=${sources} sources=${said} />`}
      ${message.status === 'cancelled' && html`<p class="quiet">${t('answer.stopped')}</p>`}
      <div class="under">
        ${message.variants > 0 && html`<${Later} load=${variants} message=${message} chat=${chat} onShow=${setShown} />`}
        ${question && html`<button type="button" class="plain" onClick=${again}>${t('answer.again')}</button>`}
        <button type="button" class="plain" onClick=${() => copy(now.content).then(() => toast(t('copied')))}>${t('copy')}</button>
        <button type="button" class="plain" aria-pressed=${rating === 'up'} onClick=${rate('up')}>${t('good')}</button>
        <button type="button" class="plain" aria-pressed=${rating === 'down'} onClick=${rate('down')}>${t('bad')}</button>
        <span class="quiet">${facts(now)}</span></div>
      <${ProblemLine} problem=${problem} />
    </div>
    <${Used} memories=${now.memories ?? now.details?.memories} />
  </article>`;
}

/** A failed answer is never a blank bubble: what happened, and the way on. */
function Failed({ message, chat }) {
  const [problem, setProblem] = useState({ detail: t('answer.failed'), code: '', status: '' });
  useEffect(() => {
    get('job', { id: message.job_id }).then((job) => { if (job.error) setProblem(job.error); }, () => {});
  }, [message.job_id]);
  return html`<article class="message answer failed" id=${message.id} tabindex="-1" aria-label=${t('answer')}>
    <${ProblemLine} problem=${problem} onRetry=${() => chat.retry(message.job_id)} /></article>`;
}

export function LiveAnswer({ answer, chat }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const growing = new Growing(ref.current);
    if (answer.text) growing.append(answer.text);
    const heard = (kind, piece) => {
      if (kind === 'token') growing.append(piece);
      else if (kind === 'reset') growing.clear();
      else if (kind === 'done') { growing.finish(piece); say(piece.slice(0, 2_000)); }
    };
    answer.listeners.add(heard);
    say(t('answering'));
    return () => { answer.listeners.delete(heard); growing.clear(); };
  }, []);
  const before = chat.live.value.filter((one) => !one.done && !one.problem);
  const place = before.indexOf(answer);
  const state = answer.done || answer.problem ? null : answer.cut ? t('answer.reconnecting')
    : answer.state === 'waiting' ? t('answer.waiting') : answer.state === 'queued' && place > 0 ? t('answer.queued', { n: place })
      : answer.text ? null : t('answering');
  return html`<article class="message answer live" tabindex="-1" aria-label=${t('answer')} aria-busy=${!answer.done && !answer.problem}>
    <div class="body"><${Called} tools=${answer.tools} />
      ${answer.notes.map((note, at) => html`<p key=${at} class="note">${t(`note.${note}`)}</p>`)}
      <div class="text" ref=${ref}></div><div class="live-end"></div>
      ${state && html`<p class="quiet state" role="status">${state}</p>`}
      ${answer.problem && html`<${ProblemLine} problem=${answer.problem} onRetry=${answer.problem.status === 404 ? null : () => chat.retry(answer.job)} />`}
    </div>
    <${Used} memories=${answer.memories} />
  </article>`;
}
