// Dead jobs by a filter, and what is done with some of them, or by the server with all that match.
import { get, insistently, newKey, post } from '../../api/client.js';

const PAGE = 200;
/** The API takes so many ids at once. */
const PIECE = 500;
/** With a filter it does so many at a time. */
const AT_ONCE = 10_000;

/** The first page, with `total`: how many match on all pages. */
export const firstPage = (filter) => get('dead', {}, { ...filter, limit: PAGE, count: true });

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
