// Which files a conversation may look into: chosen among those there are, or sent right here.
import { html, useEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import * as drafts from '../../core/drafts.js';
import { loadChats } from '../../core/session.js';
import { user } from '../../core/store.js';
import { get, newKey, post, Problem, put } from '../../api/client.js';
import { onEvents } from '../../api/events.js';
import { Dialog } from '../../parts/dialog.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { AddButton, useSending } from '../files/add.js';

/** So many a conversation may name. */
const MOST = 100;

/** Gives a new conversation its place on the server, for what is said of it before its first message. */
async function name(chat) {
  if (chat.id !== null) return;
  const session = await post('sessions', {}, {}, { key: newKey() });
  const draft = await drafts.load(user.value.id, 'new');
  if (draft) {
    await drafts.save(user.value.id, session.id, draft);
    await drafts.save(user.value.id, 'new', null);
  }
  chat.id = session.id;
  chat.session.value = session;
  chat.onNamed(session.id);
  loadChats();
}

export function Attached({ chat, onClose }) {
  const [named, setNamed] = useState(null);
  const [problem, setProblem] = useState(null);
  const list = useLoad(async () => {
    const [all, here] = await Promise.all([get('files', {}, { limit: 200 }), chat.id ? get('sessionFiles', { id: chat.id }) : { files: [] }]);
    setNamed(new Set(here.files.map(({ id }) => id)));
    // One that is named, and so old that it is not on the page.
    return [...all.items, ...here.files.filter(({ id }) => !all.items.some((one) => one.id === id))].filter((file) => file.status !== 'stored');
  }, []);
  // One that was being read is read, or is not to be read.
  useEffect(() => onEvents((event, data) => {
    if (event !== 'job' || data.kind !== 'ingest') return;
    get('files', {}, { limit: 200 }).then(({ items }) => list.set((old) => old?.map((file) => items.find(({ id }) => id === file.id) ?? file) ?? null), () => {});
  }), []);
  const set = async (ids) => {
    setProblem(null);
    const before = named;
    setNamed(ids);
    try {
      await name(chat);
      chat.files.value = (await put('sessionFiles', { id: chat.id }, { file_ids: [...ids] })).files;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setNamed(before);
      setProblem(error);
    }
  };
  const sending = useSending(async (files) => {
    const fresh = files.filter((file) => file.status !== 'stored');
    list.set((old) => [...fresh, ...(old ?? []).filter(({ id }) => !fresh.some((one) => one.id === id))]);
    if (fresh.length) await set(new Set([...(named ?? []), ...fresh.map(({ id }) => id)]));
  });
  const change = (id, on) => {
    const next = new Set(named);
    if (on) next.add(id); else next.delete(id);
    return set(next);
  };
  return html`<${Dialog} title=${t('files.of.chat')} onClose=${onClose}><p class="quiet">${t('files.of.chat.text')}</p>
    <div class="row"><${AddButton} add=${sending.add} /></div>${sending.shown}<${ProblemLine} problem=${problem} />
    <${Loaded} of=${list}>${(files) => (files.length ? html`<ul class="files-pick">${files.map((file) => html`<li key=${file.id}><label dir="auto"><input type="checkbox" checked=${named.has(file.id)}
        disabled=${!named.has(file.id) && named.size >= MOST} onChange=${(event) => change(file.id, event.target.checked)} /> ${file.name}</label>
      ${['queued', 'reading', 'failed'].includes(file.status) && html`<span class=${file.status === 'failed' ? 'tag bad' : 'tag'}>${t(`files.${file.status}`)}</span>`}</li>`)}</ul>` : html`<${Empty} text=${t('files.empty')} />`)}<//><//>`;
}
