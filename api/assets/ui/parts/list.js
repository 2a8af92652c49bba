// Loading, failing, empty, there: the four faces of anything that is fetched.
import { html, useEffect, useState, useRef } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { ProblemLine } from './problem.js';

/** Fetches when `deps` change. Gives {data, problem, loading, reload, set}. */
export function useLoad(fetcher, deps) {
  const [state, set] = useState({ data: null, problem: null, loading: true });
  const turn = useRef(0);
  const load = async () => {
    const mine = (turn.current += 1);
    set((old) => ({ ...old, loading: true }));
    try {
      const data = await fetcher();
      if (mine === turn.current) set({ data, problem: null, loading: false });
    } catch (problem) {
      if (!('status' in problem)) console.error(problem);
      if (mine === turn.current) set((old) => ({ data: old.data, problem, loading: false }));
    }
  };
  useEffect(() => { load(); return () => { turn.current += 1; }; }, deps);
  const change = (data) => set((old) => ({ ...old, data: typeof data === 'function' ? data(old.data) : data }));
  return { ...state, reload: load, set: change };
}

/** Shows `children(data)` once there is data. */
export function Loaded({ of, children }) {
  if (of.data !== null) {
    return html`${of.problem && html`<${ProblemLine} problem=${of.problem} onRetry=${of.reload} />`}${children(of.data)}`;
  }
  if (of.problem) return html`<${ProblemLine} problem=${of.problem} onRetry=${of.reload} />`;
  return html`<p class="quiet" role="status">${t('loading')}</p>`;
}

export function Empty({ text, children }) {
  return html`<div class="empty"><p>${text}</p>${children}</div>`;
}

/** Pages by cursor or skip: shows a button that fetches more. */
export function More({ shown, onMore }) {
  const [busy, setBusy] = useState(false);
  if (!shown) return null;
  const more = async () => { setBusy(true); try { await onMore(); } finally { setBusy(false); } };
  return html`<p class="more"><button type="button" disabled=${busy} onClick=${more}>${t('more')}</button></p>`;
}
