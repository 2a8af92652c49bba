// What the user said: edit as a branch, remember a selection; and what is still on its way.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { need, t } from '../../core/i18n.js';
import { go } from '../../core/router.js';
import { inField, nameOf } from '../../core/keys.js';
import { copy } from '../../core/copy.js';
import { sentence } from '../../core/wrong.js';
import { newKey, post } from '../../api/client.js';
import { Later } from '../../parts/later.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { script } from '../../text/render.js';

const pictures = () => Promise.all([import('./images.js'), need('files')]).then(([module]) => module.Pictures);
const edit = () => import('./edit.js').then((module) => module.Edit);

export function Question({ message, chat }) {
  const [editing, setEditing] = useState(false);
  const [chosen, setChosen] = useState('');
  const words = useRef(null);
  const keys = (event) => {
    if (inField(event.target)) return;
    const name = nameOf(event);
    if (name === 'e') { event.preventDefault(); setEditing(true); } else if (name === 'c') { event.preventDefault(); copy(message.content).then(() => toast(t('copied'))); }
  };
  useEffect(() => {
    const look = () => {
      const now = getSelection();
      const inside = now.rangeCount && words.current?.contains(now.getRangeAt(0).commonAncestorContainer);
      setChosen(inside ? now.toString().trim().slice(0, 2_000) : '');
    };
    document.addEventListener('selectionchange', look);
    return () => document.removeEventListener('selectionchange', look);
  }, []);
  const remember = async () => {
    await post('memories', {}, { content: chosen, memory_type: 'fact' }, { key: newKey() });
    toast(t('remembered', { text: chosen }), { action: t('open'), onAction: () => go('memory/all') });
    setChosen('');
  };
  return html`<article class="message question" id=${message.id} tabindex="-1" aria-label=${t('you.said')} onKeyDown=${keys}>
    ${editing ? html`<${Later} load=${edit} message=${message} chat=${chat} onClose=${() => setEditing(false)} />`
      : html`<p class="words" ref=${words} dir="auto" lang=${script(message.content)}>${message.content}</p>
      ${message.images?.length > 0 && html`<div class="pictures"><${Later} load=${pictures} images=${message.images} /></div>`}
      <div class="under">${chosen && html`<button type="button" onClick=${remember}>${t('remember.this')}</button>`}
        <button type="button" class="plain" onClick=${() => setEditing(true)}>${t('edit')}</button>
        <button type="button" class="plain" onClick=${() => copy(message.content).then(() => toast(t('copied')))}>${t('copy')}</button></div>`}
  </article>`;
}

/** Not accepted yet: greyed, with its state. */
export function Outgoing({ item, chat }) {
  // An item changes in place: this draws it anew when any has.
  void chat.outgoing.value;
  const why = item.problem && !item.problem.offline ? sentence(item.problem) : t('outgoing.waiting');
  const state = item.state === 'failed' ? null : item.state === 'waiting' ? why : t('outgoing.sending');
  return html`<div class="turn"><article class="message question outgoing">
    <p class="words" dir="auto" lang=${script(item.text)}>${item.text}</p>
    ${state && html`<p class="under quiet" role="status">${state}</p>`}
    ${item.state === 'failed' && html`<${ProblemLine} problem=${item.problem} onRetry=${() => chat.again(item)} />
      <div class="under"><button type="button" class="plain" onClick=${() => chat.takeBack(item)}>${t('outgoing.back')}</button></div>`}
  </article></div>`;
}
