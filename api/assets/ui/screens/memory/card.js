// One memory that waits: what, how sure, in which words; and the verdict.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { percent, t, word } from '../../core/i18n.js';
import { composing } from '../../core/ime.js';
import { diff } from '../../text/diff.js';
import { script } from '../../text/render.js';
import { Source } from '../../parts/source.js';

/** “Fact · said plainly · sure 96 % · sensitive, so it waits for you” */
export function facts(memory) {
  const parts = [word('type', memory.memory_type), t(memory.explicit ? 'said.plainly' : 'said.concluded'), t('sure', { p: percent(memory.confidence) })];
  if (memory.sensitive) parts.push(t('review.why.sensitive'));
  return parts.join(' · ');
}

/** Old and new words, with what differs marked. */
export function Diff({ before, after }) {
  return html`<p class="diff" dir="auto">${diff(before ?? '', after ?? '').map((part, at) => (part.kind === 'old' ? html`<del key=${at}>${part.text}</del>`
    : part.kind === 'new' ? html`<ins key=${at}>${part.text}</ins>` : part.text))}</p>`;
}

function Correct({ memory, onKeep, onClose }) {
  const [text, setText] = useState(memory.content);
  const box = useRef(null);
  useEffect(() => { box.current.focus(); box.current.select(); }, []);
  const keys = (event) => {
    if (composing(event)) return;
    if (event.key === 'Escape') { event.stopPropagation(); onClose(); }
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); if (text.trim()) onKeep(text.trim()); }
  };
  const id = `correct-${memory.id}`;
  return html`<div class="correct"><label for=${id}>${t('correct.label')}</label>
    <textarea id=${id} ref=${box} dir="auto" rows="2" value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
    ${text !== memory.content && html`<${Diff} before=${memory.content} after=${text} />`}
    <div class="row"><button type="button" class="act" disabled=${!text.trim()} onClick=${() => onKeep(text.trim())}>${t('correct.keep')} <kbd aria-hidden="true">Ctrl ↵</kbd></button>
      <button type="button" onClick=${onClose}>${t('cancel')}</button></div></div>`;
}

export function Card({ memory, decided, marked, editing, onEdit, onMark, onDecide, onUndo }) {
  const root = useRef(null);
  const close = () => { onEdit(false); root.current.focus(); };
  if (decided) {
    const word = { confirm: 'kept', reject: 'forgotten.short', correct: 'corrected' }[decided.action];
    return html`<article class="memory-card folded" ref=${root} tabindex="-1" data-id=${memory.id} data-open="false" aria-label=${`${t(word)}: ${decided.content}`}>
      <p><strong>${t(word)}</strong> · <span dir="auto">${decided.content}</span></p>
      <button type="button" class="plain" onClick=${() => onUndo(memory)}>${t('undo')} <kbd aria-hidden="true">U</kbd></button></article>`;
  }
  return html`<article class=${`memory-card${marked ? ' marked' : ''}`} ref=${root} tabindex="-1" data-id=${memory.id} data-open="true" aria-label=${memory.content}>
    <div class="what"><h2 dir="auto" lang=${script(memory.content)}>${memory.content}</h2><p class="quiet">${facts(memory)}</p>
      ${editing ? html`<${Correct} memory=${memory} onClose=${close} onKeep=${(text) => onDecide(memory, 'correct', { corrected_content: text })} />`
        : html`<div class="row"><button type="button" class="act" onClick=${() => onDecide(memory, 'confirm')}>${t('keep')} <kbd aria-hidden="true">Y</kbd></button>
          <button type="button" onClick=${() => onDecide(memory, 'reject')}>${t('forget')} <kbd aria-hidden="true">N</kbd></button>
          <button type="button" onClick=${() => onEdit(true)}>${t('correct')} <kbd aria-hidden="true">E</kbd></button>
          <button type="button" class="plain" aria-pressed=${marked} onClick=${onMark}>${t('review.mark')} <kbd aria-hidden="true">X</kbd></button></div>`}
    </div>
    <div class="stitch"><${Source} memory=${memory} /></div>
  </article>`;
}
