// Figures that come anew every two seconds while somebody looks, unless they are held.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { get, Problem } from '../../api/client.js';

const EVERY = 2_000;

/** {data, problem, loading, held, hold, reload}: asks while the page is shown, one request after the other. */
export function useLive(name, took = (/** @type {any} */ _) => {}) {
  const [state, set] = useState({ data: null, problem: null, loading: true });
  const [held, hold] = useState(false);
  const now = useRef(false);
  now.current = held;
  const last = useRef(0);
  const ask = async (anyway = false) => {
    const mine = (last.current += 1);
    try {
      const data = await get(name);
      if (mine !== last.current || (now.current && !anyway)) return 0;
      took(data);
      set({ data, problem: null, loading: false });
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (mine === last.current) set((old) => ({ ...old, problem, loading: false }));
      return (problem.retryAfter ?? 0) * 1_000;
    }
    return 0;
  };
  useEffect(() => {
    if (held) return undefined;
    let timer;
    let over = false;
    const turn = async () => {
      const wait = document.hidden ? 0 : await ask();
      if (!over) timer = setTimeout(turn, Math.max(EVERY, wait));
    };
    turn();
    return () => { over = true; clearTimeout(timer); };
  }, [held]);
  useEffect(() => () => { last.current += 1; }, []);
  return { ...state, held, hold, reload: () => ask(true) };
}

/** Says whether the figures move, and stops them. */
export function Hold({ live }) {
  return html`<div class="row live"><button type="button" aria-pressed=${live.held} onClick=${() => live.hold(!live.held)}>${t('ops.hold')}</button>
    <span class="quiet">${t(live.held ? 'ops.held' : 'ops.live')}</span></div>`;
}

/** The order of rows: by `rank` from high to low, but as it was while the pointer or the focus is in the table. */
export function useOrder() {
  const order = useRef([]);
  const near = useRef(false);
  const inside = useRef(null);
  const still = () => near.current || !!inside.current?.contains(document.activeElement);
  const sort = (rows, rank) => {
    const at = (row) => { const found = order.current.indexOf(row.name); return found < 0 ? Infinity : found; };
    const known = rows.filter((row) => at(row) < Infinity).sort((a, b) => at(a) - at(b));
    const fresh = rows.filter((row) => at(row) === Infinity);
    const sorted = order.current.length && still() ? [...known, ...fresh] : [...rows].sort((a, b) => rank(b) - rank(a));
    order.current = sorted.map((row) => row.name);
    return sorted;
  };
  const watch = { ref: inside, onPointerEnter: () => { near.current = true; }, onPointerLeave: () => { near.current = false; } };
  return { sort, watch };
}
