// Who is signed in, from the first request to the last: starting, listening, leaving.
import { signal } from './dom.js';
import * as auth from '../api/auth.js';
import { get } from '../api/client.js';
import { hush, listen, onEvents } from '../api/events.js';
import { boot, chats, conflicts, pending, signInNeeded, user } from './store.js';

/** Why the first request failed; null when it did not. */
export const failed = signal(null);
const HINT = 'rapport.signed-in';
const hint = (set) => {
  try {
    if (set === undefined) return localStorage.getItem(HINT) !== null;
    if (set) localStorage.setItem(HINT, '1');
    else localStorage.removeItem(HINT);
  } catch { /* then it is asked for */ }
  return true;
};

export async function start() {
  failed.value = null;
  try {
    if (hint() && !auth.hasToken()) hint(await auth.refresh());
    const known = await get('boot', {}, null, { anonymous: !auth.hasToken() });
    pending.value = known.pending_memories ?? 0;
    conflicts.value = known.open_conflicts ?? 0;
    if (known.user) {
      hint(true);
      listen();
      loadChats();
    } else {
      hush();
    }
    boot.value = known;
  } catch (problem) {
    failed.value = problem.status === undefined ? { offline: true } : problem;
  }
}

export async function loadChats() {
  const list = await get('sessions', {}, { limit: 50 }).catch(() => null);
  if (list) chats.value = list.items;
}

/** Goes back to the welcome screen. */
export function leave() {
  hint(false);
  hush();
  chats.value = [];
  boot.value = { ...boot.value, user: null, settings: null, has_accounts: true };
}

auth.onOtherTabs(({ kind, user: id }) => {
  if (kind === 'signed-out') leave();
  else if (signInNeeded.value && id === user.value?.id) signInNeeded.value = false;
  else if (id !== user.value?.id) start();
});

/** Milliseconds until what an event changed is asked for; at the start all of it was asked for a moment ago, and what is opened goes first. */
const SOON = { event: 400, start: 3_000 };
let soon;
let started = false;
onEvents((name) => {
  if (!['title', 'job', 'connected', 'memory_created', 'memory_changed', 'conflict_opened'].includes(name)) return;
  clearTimeout(soon);
  soon = setTimeout(async () => {
    const known = await get('boot').catch(() => null);
    if (!known?.user) return;
    pending.value = known.pending_memories;
    conflicts.value = known.open_conflicts;
    loadChats();
  }, name === 'connected' && !started ? SOON.start : SOON.event);
  started = true;
});
