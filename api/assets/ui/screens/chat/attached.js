// Which files a conversation may look into: chosen among those there are, or sent right here.
import { html, useEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import * as drafts from '../../core/drafts.js';
import { loadChats } from '../../core/session.js';
import { user } from '../../core/store.js';
import { get, newKey, post, Problem, put, remove } from '../../api/client.js';
import { onEvents } from '../../api/events.js';
import { Choose } from '../../parts/choose.js';
import { Dialog } from '../../parts/dialog.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { useSending } from '../files/add.js';

/** So many a conversation may name, and so many images a message; bytes of one, and of all. */
const MOST = 100;
const IMAGES = { most: 8, bytes: 3_932_160, all: 12_582_912 };

const isImage = (file) => file.status === 'stored';

async function make(chat) {
  const session = await post('sessions', {}, {}, { key: newKey() });
  // Left, or named by its first message: nobody needs this one.
  if (chat.id !== null || chat.stop.signal.aborted) {
    await remove('session', { id: session.id });
    return;
  }
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

/** Gives a new conversation its place on the server, once, for what is said of it before its first message. */
async function name(chat) {
  if (chat.id !== null) return;
  const naming = chat.naming ?? make(chat);
  // A message that is sent meanwhile waits for it.
  chat.naming = naming.catch(() => {});
  try { await naming; } finally { chat.naming = null; }
}

/** What the conversation is to name, kept with it: a file may come when this is closed, or open once more. */
const wanted = (chat) => (chat.wanted ??= { ids: null, turn: Promise.resolve() });

/** Says it to the server: one after the other, each with all that is wanted by then. */
function save(chat, onProblem) {
  const want = wanted(chat);
  want.turn = want.turn.catch(() => {}).then(async () => {
    try {
      await name(chat);
      if (chat.id === null) return;
      chat.files.value = (await put('sessionFiles', { id: chat.id }, { file_ids: [...want.ids] })).files;
    } catch (error) {
      want.ids = new Set(chat.files.value.map(({ id }) => id));
      if (!(error instanceof Problem)) throw error;
      onProblem(error);
    }
  });
  return want.turn;
}

export function Attached({ chat, onClose }) {
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState(null);
  const want = wanted(chat);
  const list = useLoad(async () => {
    const [all, here] = await Promise.all([get('files', {}, { limit: 200 }), chat.id ? get('sessionFiles', { id: chat.id }) : { files: [] }]);
    want.ids ??= new Set(here.files.map(({ id }) => id));
    // One that is named, and so old that it is not on the page.
    return [...all.items, ...here.files.filter(({ id }) => !all.items.some((one) => one.id === id))];
  }, []);
  // One that was being read is read, or is not to be read.
  useEffect(() => onEvents((event, data) => {
    if (event !== 'job' || data.kind !== 'ingest') return;
    get('files', {}, { limit: 200 }).then(({ items }) => list.set((old) => old?.map((file) => items.find(({ id }) => id === file.id) ?? file) ?? null), () => {});
  }), []);
  const change = async (act) => {
    setProblem(null);
    act(want.ids);
    redraw((n) => n + 1);
    await save(chat, setProblem);
    redraw((n) => n + 1);
  };
  const isShown = (file) => chat.images.value.some(({ id }) => id === file.id);
  const mayShow = (file) => isShown(file) || (file.bytes <= IMAGES.bytes && chat.images.value.length < IMAGES.most
    && chat.images.value.reduce((sum, { bytes }) => sum + bytes, file.bytes) <= IMAGES.all);
  const show = (file, on) => {
    const others = chat.images.value.filter(({ id }) => id !== file.id);
    if (!on || mayShow(file)) chat.images.value = on ? [...others, { id: file.id, name: file.name, bytes: file.bytes }] : others;
    redraw((n) => n + 1);
  };
  const sending = useSending(async (files) => {
    const fresh = files.filter((file) => !isImage(file));
    list.set((old) => [...files, ...(old ?? []).filter(({ id }) => !files.some((one) => one.id === id))]);
    for (const file of files.filter(isImage)) show(file, true);
    if (fresh.length) await change((ids) => { for (const { id } of fresh) ids.add(id); });
  });
  const choose = (id, on) => change((ids) => { if (on) ids.add(id); else ids.delete(id); });
  return html`<${Dialog} title=${t('files.of.chat')} onClose=${onClose}><p class="quiet">${t('files.of.chat.text')}</p>
    <${Loaded} of=${list}>${(files) => html`<div class="row"><${Choose} label=${t('files.add')} onFiles=${sending.add} /></div>${sending.shown}<${ProblemLine} problem=${problem} />
      ${files.some(isImage) && html`<h3>${t('images.next')}</h3><p class="quiet">${t('images.text')}</p><ul class="files-pick">${files.filter(isImage).map((file) => html`<li key=${file.id}>
        <label dir="auto"><input type="checkbox" checked=${isShown(file)} disabled=${!mayShow(file)} onChange=${(event) => show(file, event.target.checked)} /> ${file.name}</label>
        ${file.bytes > IMAGES.bytes && html`<span class="tag">${t('images.large')}</span>`}</li>`)}</ul><h3>${t('files')}</h3>`}
      ${files.some((file) => !isImage(file)) ? html`<ul class="files-pick">${files.filter((file) => !isImage(file)).map((file) => html`<li key=${file.id}><label dir="auto"><input type="checkbox" checked=${want.ids.has(file.id)}
        disabled=${!want.ids.has(file.id) && want.ids.size >= MOST} onChange=${(event) => choose(file.id, event.target.checked)} /> ${file.name}</label>
      ${['queued', 'reading', 'failed'].includes(file.status) && html`<span class=${file.status === 'failed' ? 'tag bad' : 'tag'}>${t(`files.${file.status}`)}</span>`}</li>`)}</ul>` : html`<${Empty} text=${t('files.empty')} />`}`}<//><//>`;
}
