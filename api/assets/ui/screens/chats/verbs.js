// What one does with chats, one or many: pin, archive, give out as files, delete with ten seconds to undo.
import { html, signal } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { download } from '../../core/copy.js';
import { loadChats } from '../../core/session.js';
import { chats as side } from '../../core/store.js';
import { call, patch, problemOf, raw } from '../../api/client.js';
import { later, toast } from '../../parts/toast.js';

/** Chats that are deleted unless it is undone: not shown any more. */
export const leaving = signal(new Set());
const leave = (ids, gone) => {
  const next = new Set(leaving.value);
  for (const id of ids) { if (gone) next.add(id); else next.delete(id); }
  leaving.value = next;
};

/** One request each; what has changed is shown even if a later one fails. */
async function change(chats, fields, patchRows) {
  const changed = new Map();
  try {
    for (const chat of chats) {
      const { is_pinned, status, title } = await patch('session', { id: chat.id }, fields);
      changed.set(chat.id, { is_pinned, status, title });
    }
  } finally {
    patchRows(changed);
    loadChats();
  }
}

export const rename = (chat, title, patchRows) => change([chat], { title }, patchRows);

const nameOf = (chat) => (chat.title || t('chat.untitled')).replace(/[\\/:*?"<>|\u0000-\u001f]+/g, ' ').trim().slice(0, 80) || chat.id;

async function save(chats, format) {
  for (const chat of chats) {
    const response = await raw('GET', 'sessionExport', { places: { id: chat.id }, query: { format } });
    if (!response.ok) throw await problemOf(response);
    download(`${nameOf(chat)}.${format}`, await response.blob());
  }
}

export const allPinned = (chats) => chats.every((chat) => chat.is_pinned);
export const allArchived = (chats) => chats.every((chat) => chat.status === 'archived');

function drop(chats, { failed }) {
  const ids = chats.map(({ id }) => id);
  leave(ids, true);
  side.value = side.value.filter(({ id }) => !ids.includes(id));
  later(t('chats.deleted', { n: ids.length }), async (left) => {
    const ends = await Promise.allSettled(ids.map((id) => call('DELETE', 'session', { places: { id }, keepalive: left })));
    const not = ids.filter((_, at) => ends[at].status === 'rejected' && ends[at].reason.status !== 404);
    leave(not, false);
    if (not.length) failed(ends.flatMap((end) => (end.status === 'rejected' && end.reason.status !== 404 ? [end.reason] : []))[0]);
    loadChats();
  }, () => { leave(ids, false); loadChats(); });
}

/** `verbs[name](chats, {patchRows, failed})`. */
export const verbs = {
  async pin(chats, { patchRows }) {
    const is_pinned = !allPinned(chats);
    await change(chats, { is_pinned }, patchRows);
    toast(t(is_pinned ? 'chats.pinned.done' : 'chats.unpinned.done'));
  },
  async archive(chats, { patchRows }) {
    const [status, before] = allArchived(chats) ? ['active', 'archived'] : ['archived', 'active'];
    await change(chats, { status }, patchRows);
    toast(t(`chats.now.${status}`, { n: chats.length }), { action: t('undo'), onAction: () => change(chats, { status: before }, patchRows).catch(() => {}) });
  },
  md: (chats) => save(chats, 'md'),
  json: (chats) => save(chats, 'json'),
  drop,
};

/** The buttons, for a row or for all that are marked. */
export function Verbs({ chats, onAct, onRename }) {
  const verb = (name, text, label) => html`<button type="button" class="plain" aria-label=${label} onClick=${() => onAct(name, chats)}>${text}</button>`;
  return html`${verb('pin', t(allPinned(chats) ? 'chats.unpin' : 'chats.pin'))}
    ${onRename && html`<button type="button" class="plain" onClick=${onRename}>${t('rename')} <kbd aria-hidden="true">F2</kbd></button>`}
    ${verb('archive', t(allArchived(chats) ? 'chats.unarchive' : 'chats.archive'))}
    ${verb('md', 'Markdown', t('chats.save.md'))}${verb('json', 'JSON', t('chats.save.json'))}
    ${verb('drop', t('delete'))}`;
}
