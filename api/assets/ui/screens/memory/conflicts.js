// Two memories that cannot both hold, side by side. Nothing is decided until the user does.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { day } from '../../core/time.js';
import { onKeys } from '../../core/keys.js';
import { conflicts, say } from '../../core/store.js';
import { get, insistently, newKey, post, Problem } from '../../api/client.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { Source } from '../../parts/source.js';
import { undo } from './verdicts.js';

function Pair({ conflict, onDone }) {
  const [other, setOther] = useState(null);
  const [problem, setProblem] = useState(null);
  const [solved, setSolved] = useState(false);
  const root = useRef(null);
  const [a, b] = conflict.memories;
  const resolve = async (keep, correct) => {
    setProblem(null);
    try {
      const key = newKey();
      await insistently(() => post('resolve', { id: conflict.id }, { keep, ...(correct ? { correct_content: correct } : {}) }, { key }));
      setSolved(true);
      say(t('conflict.solved'));
      conflicts.value = Math.max(0, conflicts.value - 1);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    }
  };
  const back = async () => { await undo(a.id); conflicts.value += 1; setSolved(false); onDone(); };
  useLayoutEffect(() => onKeys((name) => {
    if (solved || other !== null || !root.current?.contains(document.activeElement)) return false;
    const keep = { 1: a.id, 2: b.id, 3: 'both', 4: 'neither' }[name];
    if (!keep) return false;
    resolve(keep);
    return true;
  }), [solved, other]);
  if (solved) {
    return html`<article class="memory-card folded" tabindex="-1"><p><strong>${t('conflict.solved')}</strong></p>
      <button type="button" class="plain" onClick=${back}>${t('undo')}</button></article>`;
  }
  const side = (memory, key) => html`<section class="card"><h2 dir="auto">${memory.content}</h2><${Source} memory=${memory} />
    <p class="quiet">${day(memory.source?.extracted_at ?? memory.created_at)} · ${word('status', memory.status)}</p>
    <button type="button" onClick=${() => resolve(memory.id)}>${t('conflict.this')} <kbd aria-hidden="true">${key}</kbd></button></section>`;
  return html`<article class="pair" ref=${root} tabindex="-1" aria-label=${`${a.content} / ${b.content}`}>
    <p class="why">${conflict.reason} ${t('conflict.text')}</p>
    <div class="two">${side(a, 1)}${side(b, 2)}</div>
    <div class="row"><button type="button" onClick=${() => resolve('both')}>${t('conflict.both')} <kbd aria-hidden="true">3</kbd></button>
      <button type="button" onClick=${() => resolve('neither')}>${t('conflict.neither')} <kbd aria-hidden="true">4</kbd></button>
      <button type="button" class="plain" onClick=${() => setOther(conflict.proposed || b.content)}>${t('conflict.other')}</button></div>
    ${other !== null && html`<div class="correct"><label for=${`other-${conflict.id}`}>${t('correct.label')}</label>
      <textarea id=${`other-${conflict.id}`} dir="auto" rows="2" value=${other} onInput=${(event) => setOther(event.target.value)}></textarea>
      <div class="row"><button type="button" class="act" disabled=${!other.trim()} onClick=${() => resolve(b.id, other.trim())}>${t('correct.keep')}</button>
        <button type="button" onClick=${() => setOther(null)}>${t('cancel')}</button></div></div>`}
    <${ProblemLine} problem=${problem} /></article>`;
}

export function Conflicts() {
  const list = useLoad(() => get('conflicts', {}, { status: 'open', limit: 100 }), []);
  return html`<${Loaded} of=${list}>${(found) => (found.length ? found.map((conflict) => html`<${Pair} key=${conflict.id} conflict=${conflict} onDone=${list.reload} />`)
    : html`<${Empty} text=${t('conflict.empty')} />`)}<//>`;
}
