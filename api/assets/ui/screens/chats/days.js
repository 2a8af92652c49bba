// The list: days, chats, branches below what they came from. Arrow keys walk; Shift marks ranges.
import { html, useRef } from '../../core/dom.js';
import { language, t } from '../../core/i18n.js';
import { age, day } from '../../core/time.js';
import { Row } from './row.js';

/** Days with their chats in order, each branch right below its parent where both stand in the same day. */
export function arrange(chats, place) {
  const groups = new Map();
  for (const chat of chats) {
    const key = place(chat);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(chat);
  }
  return [...groups].map(([key, all]) => {
    const here = new Map(all.map((chat) => [chat.id, chat]));
    const rows = [];
    const add = (chat, depth) => {
      rows.push({ chat, depth });
      for (const other of all) if (other.parent_session_id === chat.id) add(other, depth + 1);
    };
    for (const chat of all) if (!here.has(chat.parent_session_id)) add(chat, 0);
    return { key, rows };
  });
}

function label(key, updated) {
  if (key === 'pinned') return t('chats.pinned');
  if (key === 'imported') return t('import.group');
  const when = age(updated);
  return when === 'today' || when === 'yesterday' ? t(`when.${when}`) : day(updated);
}

export function Days({ chats, lines, q, marked, setMarked, onAct, patchRows, place, renaming, setRenaming }) {
  const root = useRef(null);
  const last = useRef(null);
  const groups = arrange(chats, place);
  const order = groups.flatMap(({ rows }) => rows.map(({ chat }) => chat.id));
  const titles = new Map(chats.map((chat) => [chat.id, chat.title]));
  const clock = new Intl.DateTimeFormat(language.value, { hour: '2-digit', minute: '2-digit' });

  const mark = (id, on, range) => {
    const next = new Set(marked);
    const from = order.indexOf(last.current);
    const to = order.indexOf(id);
    const some = range && from >= 0 ? order.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
    for (const one of some) { if (on) next.add(one); else next.delete(one); }
    last.current = id;
    setMarked(next);
  };
  const focus = (id) => root.current.querySelector(`[data-id="${id}"] .chat-link`)?.focus();
  const endRename = (id) => { setRenaming(null); requestAnimationFrame(() => focus(id)); };
  const drop = (some) => {
    const gone = new Set(some.map(({ id }) => id));
    const from = order.indexOf(some[0].id);
    const next = order.slice(from).find((id) => !gone.has(id)) ?? order.findLast((id) => !gone.has(id));
    onAct('drop', some);
    if (next) requestAnimationFrame(() => focus(next));
  };
  const act = (name, some) => (name === 'drop' ? drop(some) : onAct(name, some));
  const keys = (event) => {
    const row = event.target.closest('[data-id]');
    if (!row || event.target.closest('form') || event.ctrlKey || event.metaKey || event.altKey) return;
    const { id } = row.dataset;
    const chat = chats.find((one) => one.id === id);
    const at = order.indexOf(id);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && order[at + by]) {
      if (event.shiftKey) {
        const next = new Set(marked);
        next.add(id).add(order[at + by]);
        last.current = order[at + by];
        setMarked(next);
      }
      focus(order[at + by]);
    } else if (event.key === 'F2') setRenaming(id);
    else if (event.key === 'Delete') drop(marked.has(id) ? chats.filter((one) => marked.has(one.id)) : [chat]);
    else if (event.key === 'Escape' && marked.size) setMarked(new Set());
    else return;
    event.preventDefault();
  };
  return html`<div class="days" ref=${root} onKeyDown=${keys}>${groups.map(({ key, rows }) => html`<section key=${key}>
    <h2>${label(key, rows[0].chat.updated_at)}</h2>
    <ul>${rows.map(({ chat, depth }) => html`<${Row} key=${chat.id} chat=${chat} depth=${Math.min(depth, 3)} q=${q} line=${lines?.get(chat.id)}
      when=${key === 'pinned' || key === 'imported' ? day(chat.updated_at) : clock.format(new Date(chat.updated_at))} parent=${depth ? null : titles.get(chat.parent_session_id)}
      pinned=${key === 'pinned'} marked=${marked.has(chat.id)} onMark=${mark} onAct=${act} patchRows=${patchRows}
      renaming=${renaming === chat.id} onRename=${() => setRenaming(chat.id)} onRenamed=${() => endRename(chat.id)} />`)}</ul></section>`)}</div>`;
}
