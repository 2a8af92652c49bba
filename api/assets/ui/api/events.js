// What happens to the user, in one stream a browser: the tab that has the lock reads it and tells the others.
import { raw, quiet } from './client.js';
import { read } from './sse.js';

const listeners = new Set();
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('rapport.events') : null;

/** Calls `heard(name, data)`; gives what ends it. */
export function onEvents(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

const tell = (name, data) => { for (const heard of [...listeners]) heard(name, data); };
channel?.addEventListener('message', ({ data }) => tell(data.name, data.data));

let stop = null;

/** Starts listening for whoever is signed in. */
export function listen() {
  if (stop) return;
  stop = new AbortController();
  const { signal } = stop;
  if (navigator.locks) navigator.locks.request('rapport.events', { signal }, () => hold(signal)).catch(() => {});
  else hold(signal);
}

export function hush() {
  stop?.abort();
  stop = null;
}

async function hold(signal) {
  let last = '';
  for (let pause = 1_000; !signal.aborted; pause = Math.min(pause * 2, 30_000)) {
    try {
      const response = await raw('GET', 'events', { signal, headers: last ? { 'Last-Event-ID': last } : {} });
      if (response.ok) {
        pause = 1_000;
        // What happened while nobody listened: screens ask anew. After a cut the stream goes on where it was.
        if (!last) tell('connected', {});
        await read(response, (event) => {
          last = event.id || last;
          let data;
          try { data = JSON.parse(event.data); } catch { return; }
          channel?.postMessage({ name: event.name, data });
          tell(event.name, data);
        }, signal);
      } else if (response.status === 400) last = '';
    } catch { /* a pause, and again */ }
    if (!signal.aborted) await quiet(pause);
  }
}
