// All dead jobs that match a filter, page by page, and what is done with them, piece by piece.
import { get, insistently, newKey, post } from '../../api/client.js';

const PAGE = 200;
/** The API takes so many ids at once. */
const PIECE = 500;
export const MOST = 5_000;

/** The ids after `list`, which is the first page. Calls `found(ids)` after each page; ends when `go()` is false. */
export async function rest(list, filter, found, go) {
  const ids = list.items.map((job) => job.id);
  let cursor = list.next_cursor;
  while (cursor && ids.length < MOST && go()) {
    const at = cursor;
    const next = await insistently(() => get('dead', {}, { ...filter, limit: PAGE, cursor: at }), go);
    ids.push(...next.items.map((job) => job.id));
    cursor = next.next_cursor;
    found(ids.length);
  }
  return { ids, whole: !cursor };
}

/** Retries or discards; gives how many were. `done(n)` after each piece. */
export async function act(route, ids, done = () => {}) {
  let count = 0;
  for (let at = 0; at < ids.length; at += PIECE) {
    const piece = ids.slice(at, at + PIECE);
    const key = newKey();
    const answer = await insistently(() => post(route, {}, { job_ids: piece }, { key }));
    count += answer.count;
    done(count);
  }
  return count;
}

export const firstPage = (filter) => get('dead', {}, { ...filter, limit: PAGE });
