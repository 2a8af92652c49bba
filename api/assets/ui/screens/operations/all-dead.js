// How many dead jobs match a filter, and what is done with some of them, or by the server with all that match.
import { get, insistently, newKey, post } from '../../api/client.js';

const PAGE = 200;
/** The API takes so many ids at once. */
const PIECE = 500;
/** With a filter it does so many at a time. */
const AT_ONCE = 10_000;
/** Nobody needs to know exactly how many more there are. */
export const MOST = 5_000;

export const firstPage = (filter) => get('dead', {}, { ...filter, limit: PAGE });

/** Counts on from `list`, the first page: {n, whole}. Calls `counted(n)` after each page; ends when `go()` is false. */
export async function count(list, filter, counted, go) {
  let n = list.items.length;
  let cursor = list.next_cursor;
  while (cursor && n < MOST && go()) {
    const at = cursor;
    const next = await insistently(() => get('dead', {}, { ...filter, limit: PAGE, cursor: at }), go);
    n += next.items.length;
    cursor = next.next_cursor;
    counted(n);
  }
  return { n, whole: !cursor };
}

const ask = (route, body) => {
  const key = newKey();
  return insistently(() => post(route, {}, body, { key }));
};

/** Retries or discards these; gives how many were. `done(n)` after each piece. */
export async function act(route, ids, done) {
  let sum = 0;
  for (let at = 0; at < ids.length; at += PIECE) {
    sum += (await ask(route, { job_ids: ids.slice(at, at + PIECE) })).count;
    done(sum);
  }
  return sum;
}

/** The same with all that match, also those that were never shown. */
export async function actOnAll(route, { kind, queue }, done) {
  const filter = { ...(kind && { kind }), ...(queue && { queue }) };
  for (let sum = 0; ;) {
    const { count: some } = await ask(route, { filter });
    sum += some;
    done(sum);
    if (some < AT_ONCE) return sum;
  }
}
