// Memories that wait for a verdict, each with its sentence, by keyboard alone if one likes.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { go } from '../../core/router.js';
import { onKeys } from '../../core/keys.js';
import { online, pending, say } from '../../core/store.js';
import { get, Problem } from '../../api/client.js';
import { onEvents } from '../../api/events.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { Card } from './card.js';
import { undo, verdict, verdicts, waiting } from './verdicts.js';

const WORDS = { confirm: 'kept', reject: 'forgotten.short', correct: 'corrected' };

export function Review() {
  const list = useLoad(() => get('pending', {}, { limit: 50 }), []);
  /** What was decided here: id → {action, content}. It stays in its place until the page is left. */
  const [decided, setDecided] = useState({});
  const [marked, setMarked] = useState(() => new Set());
  const [editing, setEditing] = useState(null);
  const [problem, setProblem] = useState(null);
  const root = useRef(null);
  const items = list.data?.items ?? [];

  // New ones come in below; what is here does not move.
  useEffect(() => onEvents(async (name) => {
    if (!['memory_created', 'memory_changed', 'connected'].includes(name) || !list.data) return;
    const fresh = await get('pending', {}, { limit: 50 }).catch(() => null);
    if (fresh) list.set((old) => ({ ...old, total: fresh.total, items: [...old.items, ...fresh.items.filter((one) => !old.items.some((other) => other.id === one.id))] }));
  }), [list.data !== null]);

  const cards = () => [...root.current.querySelectorAll('.memory-card')];
  const at = () => cards().indexOf(document.activeElement.closest?.('.memory-card'));
  const move = (by) => {
    const all = cards();
    all[Math.max(0, Math.min(all.length - 1, at() + by))]?.focus();
    return true;
  };
  const tried = async (doing) => {
    setProblem(null);
    try { await doing(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); list.reload(); setDecided({}); }
  };
  const decide = (memory, action, more = {}) => {
    const all = cards();
    const here = all.findIndex((card) => card.dataset.id === memory.id);
    setDecided((old) => ({ ...old, [memory.id]: { action, content: more.corrected_content ?? memory.content } }));
    setEditing(null);
    say(t(WORDS[action]));
    // The next one that is not decided, before the network has answered.
    const next = [...all.slice(here + 1), ...all.slice(0, here)].find((card) => card.dataset.open === 'true' && card.dataset.id !== memory.id);
    (next ?? all[here])?.focus({ preventScroll: false });
    tried(() => verdict(memory.id, action, more));
  };
  const back = (memory) => {
    setDecided(({ [memory.id]: _, ...others }) => others);
    say(t('undone'));
    tried(() => undo(memory.id));
  };
  const many = (action) => {
    const ids = [...marked];
    setDecided((old) => ({ ...old, ...Object.fromEntries(ids.map((id) => [id, { action, content: items.find((one) => one.id === id)?.content }])) }));
    setMarked(new Set());
    tried(() => verdicts(ids, action));
  };
  const mark = (memory) => setMarked((old) => { const next = new Set(old); if (!next.delete(memory.id)) next.add(memory.id); return next; });

  useLayoutEffect(() => onKeys((name) => {
    if (name === 'j') return move(1);
    if (name === 'k') return move(-1);
    const here = /** @type {HTMLElement | null} */ (document.activeElement.closest?.('.memory-card'));
    const memory = here && items.find((one) => one.id === here.dataset.id);
    if (!memory || editing) return false;
    const open = !decided[memory.id];
    if (name === 'u' && !open) return back(memory), true;
    if (name === 'Enter' && document.activeElement === here && memory.source?.session_id) return go(`chat/${memory.source.session_id}?m=${memory.source.message_id}`), true;
    if (!open) return false;
    if (name === 'x') return mark(memory), true;
    if (name === 'y') return marked.size ? many('confirm') : decide(memory, 'confirm'), true;
    if (name === 'n') return marked.size ? many('reject') : decide(memory, 'reject'), true;
    if (name === 'e') return setEditing(memory.id), true;
    return false;
  }), [items, decided, marked, editing]);
  useEffect(() => { if (list.data) cards()[0]?.focus({ preventScroll: true }); }, [list.data !== null]);

  const more = async () => {
    const next = await get('pending', {}, { limit: 50, cursor: list.data.next_cursor });
    list.set((old) => ({ ...next, items: [...old.items, ...next.items] }));
  };
  return html`<div class="review" ref=${root}>
    <p class="sr" role="status">${t('review.left', { n: pending.value })}</p>
    <${ProblemLine} problem=${problem} />
    ${waiting.value > 0 && !online.value && html`<p class="note" role="status">${t('line.offline')}</p>`}
    ${marked.size > 0 && html`<div class="row card"><span>${t('review.marked', { n: marked.size })}</span>
      <button type="button" class="act" onClick=${() => many('confirm')}>${t('keep')}</button>
      <button type="button" onClick=${() => many('reject')}>${t('forget')}</button></div>`}
    <${Loaded} of=${list}>${(data) => (data.items.length ? html`${data.items.map((memory) => html`<${Card} key=${memory.id} memory=${memory}
        decided=${decided[memory.id]} marked=${marked.has(memory.id)} editing=${editing === memory.id} onEdit=${(on) => setEditing(on ? memory.id : null)}
        onMark=${() => mark(memory)} onDecide=${decide} onUndo=${back} />`)}
      <${More} shown=${data.next_cursor} onMore=${more} />` : html`<${Empty} text=${t('review.empty')} />`)}<//>
  </div>`;
}
