// What several screens know: who is signed in, their chats, how much waits, whether we are online.
import { signal, computed } from './dom.js';

/** The answer of /ui/boot; null until it is there. */
export const boot = signal(null);
export const user = computed(() => boot.value?.user ?? null);
export const settings = computed(() => boot.value?.settings ?? null);
export const pending = signal(0);
export const conflicts = signal(0);
/** Chats as the side bar shows them. */
export const chats = signal([]);
export const online = signal(navigator.onLine);
/** A line above everything: null, or {kind, text, action?}. */
export const line = signal(null);
/** The server has another version than this page. */
export const outdated = signal(false);
/** Sign-in is asked for over the page, because the session ended under it. */
export const signInNeeded = signal(false);
/** What a screen reader is told, politely. */
export const said = signal('');
/** The page's title and the buttons beside it. */
export const heading = signal({ title: 'Rapport', actions: null });

addEventListener('online', () => { online.value = true; });
addEventListener('offline', () => { online.value = false; });

export function say(text) {
  said.value = '';
  requestAnimationFrame(() => { said.value = text; });
}
