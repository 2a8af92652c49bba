// One chat in the list: its title, the line that matched, where it branched; renamed in its place.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { composing } from '../../core/ime.js';
import { Problem } from '../../api/client.js';
import { byField } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { script } from '../../text/render.js';
import { Marked } from './match.js';
import { rename, Verbs } from './verbs.js';

function Rename({ chat, patchRows, onDone }) {
  const [title, setTitle] = useState(chat.title);
  const [problem, setProblem] = useState(null);
  const box = useRef(null);
  useEffect(() => { box.current.focus(); box.current.select(); }, []);
  const save = async (event) => {
    event.preventDefault();
    if (title.trim() === chat.title || !title.trim()) return onDone();
    setProblem(null);
    try { await rename(chat, title.trim(), patchRows); return onDone(); } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return setProblem(error);
    }
  };
  const keys = (event) => {
    event.stopPropagation();
    if (event.key === 'Enter' && composing(event)) event.preventDefault();
    if (event.key === 'Escape' && !composing(event)) onDone();
  };
  const wrong = byField(problem).title;
  const id = `rename-${chat.id}`;
  return html`<form class="row rename" onSubmit=${save}><label class="sr" for=${id}>${t('chat.rename')}</label>
    <input id=${id} ref=${box} class="grow" dir="auto" maxlength="200" value=${title} onInput=${(event) => setTitle(event.target.value)} onKeyDown=${keys}
      aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${wrong ? `${id}-error` : undefined} />
    <button type="submit" class="act">${t('save')}</button><button type="button" onClick=${onDone}>${t('cancel')}</button>
    ${wrong ? html`<p class="error" id=${`${id}-error`}>${wrong}</p>` : html`<${ProblemLine} problem=${problem} />`}</form>`;
}

export function Row({ chat, depth, parent, q, line, when, pinned, marked, onMark, onAct, patchRows, renaming, onRename, onRenamed }) {
  const title = chat.title || t('chat.untitled');
  const branch = chat.parent_session_id && (depth ? html`<span>${t('chats.branch')}</span>`
    : html`<a href=${`#/chat/${chat.parent_session_id}`} dir="auto">${parent ? t('chats.branch.of', { title: parent }) : t('chat.parent')}</a>`);
  return html`<li data-id=${chat.id} class=${`chat-row${marked ? ' marked' : ''}${depth ? ` branch depth-${depth}` : ''}`}>
    <input type="checkbox" aria-label=${t('chats.mark', { title })} checked=${marked} onClick=${(event) => onMark(chat.id, event.target.checked, event.shiftKey)} />
    <div class="chat-words">${renaming ? html`<${Rename} chat=${chat} patchRows=${patchRows} onDone=${onRenamed} />`
      : html`<a class="chat-link" href=${`#/chat/${chat.id}${line ? `?m=${line.id}` : ''}`} dir="auto" lang=${script(title)}><${Marked} text=${title} q=${q} /></a>`}
      ${line && html`<p class="chat-line" dir="auto" lang=${script(line.content)}><${Marked} text=${line.content} q=${q} cut /></p>`}
      <p class="quiet chat-facts"><span>${when}</span><span>${t('chats.messages', { n: chat.message_count })}</span>${branch}
        ${chat.is_pinned !== pinned && html`<span class="tag">${t(pinned ? 'chats.unpinned' : 'chats.pinned')}</span>`}${chat.status === 'archived' && html`<span class="tag">${t('chats.archived')}</span>`}</p></div>
    ${!renaming && html`<div class="chat-verbs"><${Verbs} chats=${[chat]} onAct=${onAct} onRename=${onRename} /></div>`}</li>`;
}
