// Editing what one said: as a branch, so that nothing is overwritten.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { go } from '../../core/router.js';
import { composing } from '../../core/ime.js';
import { newKey, post, Problem } from '../../api/client.js';
import { loadChats } from '../../core/session.js';
import { ProblemLine } from '../../parts/problem.js';

/** Another wording makes a new conversation that shares the past. Nothing is overwritten. */
export function Edit({ message, chat, onClose }) {
  const [text, setText] = useState(message.content);
  const [problem, setProblem] = useState(null);
  const [key] = useState(newKey);
  const box = useRef(null);
  useEffect(() => { box.current.focus(); }, []);
  const send = async () => {
    setProblem(null);
    try {
      const made = await post('branch', {}, { session_id: chat.id, from_message_id: message.id, new_message: text.trim() }, { key });
      loadChats();
      go(`chat/${made.new_session_id}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    }
  };
  const keyed = (event) => {
    if (composing(event)) return;
    if (event.key === 'Escape') { event.stopPropagation(); onClose(); } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !composing(event)) send();
  };
  return html`<div class="edit"><label class="sr" for=${`edit-${message.id}`}>${t('edit')}</label>
    <textarea id=${`edit-${message.id}`} ref=${box} dir="auto" rows="3" value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keyed}></textarea>
    <${ProblemLine} problem=${problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button>
      <button type="button" class="act" disabled=${!text.trim()} onClick=${send}>${t('edit.branch')}</button></div></div>`;
}
