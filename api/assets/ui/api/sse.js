// Server-sent events over fetch: a parser for any way the bytes are cut, and a reader that goes on where it was.
import { raw, problemOf, quiet, Problem } from './client.js';

/** Events of a stream of text pieces: {id, name, data}. Lines end in LF, CR LF or CR; comments are skipped. */
export function parser(found) {
  let rest = '';
  let id = '';
  let name = '';
  let data = [];
  const line = (text) => {
    if (text === '') {
      if (data.length) found({ id, name: name || 'message', data: data.join('\n') });
      name = '';
      data = [];
      return;
    }
    const colon = text.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id') id = value;
  };
  return (piece) => {
    rest += piece;
    // A CR at the end may be half of CR LF.
    for (let match; (match = /\r\n|\n|\r(?!$)/.exec(rest)); ) {
      line(rest.slice(0, match.index));
      rest = rest.slice(match.index + match[0].length);
    }
  };
}

/** Heartbeats come every 15 s: silence for this long is a dead connection. */
const SILENCE = 40_000;

/** Whether event `a` comes after `b`; both are `<attempt>-<n>`. */
export function after(a, b) {
  if (!b) return true;
  const [x, y] = [a, b].map((id) => id.split('-').map(Number));
  return x[0] !== y[0] ? x[0] > y[0] : x[1] > y[1];
}

/** Reads one response to its end. Throws `offline` when it was cut or fell silent. */
export async function read(response, found, stop) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const feed = parser(found);
  const cancel = () => reader.cancel().catch(() => {});
  stop?.addEventListener('abort', cancel);
  const gone = () => new Problem({ status: 0, code: 'offline', offline: true, detail: '' });
  try {
    for (;;) {
      let timer;
      const silence = new Promise((_, reject) => { timer = setTimeout(() => reject(gone()), SILENCE); });
      // Only what the connection does is a cut; what goes wrong in here is thrown as it is.
      const next = reader.read().catch(() => { throw gone(); });
      const { done, value } = await Promise.race([next, silence]).finally(() => clearTimeout(timer));
      if (done || stop?.aborted) return;
      feed(value);
    }
  } catch (error) {
    if (!stop?.aborted) throw error;
  } finally {
    stop?.removeEventListener('abort', cancel);
    cancel();
  }
}

/**
 * Follows a job until `done` or `error`, through cuts, reloads and restarts of the server. `from` is a response that is
 * already open (POST /chat/stream), or null; `last` the event after which to begin. Calls `found({name, data})` for each event once, `cut(true|false)` around a
 * pause. Ends when the job has, or when `stop` is aborted.
 */
export async function follow(job, { from = null, last = null, found, cut = (/** @type {boolean} */ _) => {}, stop }) {
  let ended = false;
  let pause = 500;
  const take = (event) => {
    // A `reset` is obeyed whatever its number: one that the server made has the first, because all is told again after it.
    if (ended || (event.id && event.name !== 'reset' && !after(event.id, last))) return;
    if (event.id) last = event.id;
    pause = 500;
    let data;
    try { data = JSON.parse(event.data); } catch { return; }
    if (event.name === 'job') job ??= data.job_id;
    found({ name: event.name, data });
    ended = event.name === 'done' || event.name === 'error';
  };
  let response = from;
  while (!ended && !stop?.aborted) {
    try {
      if (!response) {
        const headers = last ? { 'Last-Event-ID': last } : {};
        response = await raw('GET', 'jobEvents', { places: { id: job }, headers, signal: stop });
        if (!response.ok) throw await problemOf(response);
      }
      cut(false);
      await read(response, take, stop);
    } catch (error) {
      if (stop?.aborted || error.name === 'AbortError') return;
      if (!(error.offline || [429, 500, 502, 503, 504].includes(error.status))) throw error;
      if (error.retryAfter) pause = error.retryAfter * 1000;
    }
    response = null;
    // Without a `job` event nobody can say which job it is: the request is sent again, with its key.
    if (!job) throw new Problem({ status: 0, code: 'offline', offline: true, detail: '' });
    if (ended || stop?.aborted) return;
    cut(true);
    await quiet(pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, 15_000);
  }
}
