// Which files a conversation may look into: chosen among those there are, or sent right here.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { get, Problem, put } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { AddButton, useSending } from '../files/add.js';

/** So many a conversation may name. */
const MOST = 100;

export function Attached({ chat, onClose }) {
  const [named, setNamed] = useState(null);
  const [problem, setProblem] = useState(null);
  const list = useLoad(async () => {
    const [all, here] = await Promise.all([get('files', {}, { limit: 200 }), chat.id ? get('sessionFiles', { id: chat.id }) : { files: [] }]);
    setNamed(new Set(here.files.map(({ id }) => id)));
    // One that is named, and so old that it is not on the page.
    return [...all.items, ...here.files.filter(({ id }) => !all.items.some((one) => one.id === id))].filter((file) => file.status !== 'stored');
  }, []);
  const set = async (ids) => {
    setProblem(null);
    const before = named;
    setNamed(ids);
    try {
      await chat.named();
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
