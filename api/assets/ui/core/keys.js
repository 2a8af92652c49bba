// Shortcuts. Single letters work only outside fields, and one setting turns them off.
import { signal } from './dom.js';
import { composing } from './ime.js';

const KEY = 'rapport.letters';
export const letters = signal((() => { try { return localStorage.getItem(KEY) !== 'off'; } catch { return true; } })());
export function useLetters(on) {
  letters.value = on;
  try { localStorage.setItem(KEY, on ? 'on' : 'off'); } catch { /* for this visit */ }
}

export const inField = (target) => target instanceof Element && !!target.closest('input, textarea, select, [contenteditable]');

/** `Ctrl+Shift+O`, `Alt+ArrowUp`, `g`, `?`. ⌘ counts as Ctrl. */
export function nameOf(event) {
  let name = '';
  if (event.ctrlKey || event.metaKey) name += 'Ctrl+';
  if (event.altKey) name += 'Alt+';
  const isLetter = event.key.length === 1;
  if (event.shiftKey && (!isLetter || event.ctrlKey || event.metaKey)) name += 'Shift+';
  return name + (isLetter ? event.key.toLowerCase() : event.key);
}

const listeners = new Set();
let first = '';
let firstAt = 0;

/** Calls `handle(name, event)` for keys; a true answer means it is done. Gives what ends it. */
export function onKeys(handle) {
  listeners.add(handle);
  return () => listeners.delete(handle);
}

addEventListener('keydown', (event) => {
  if (composing(event) || event.defaultPrevented) return;
  const single = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (single && (inField(event.target) || !letters.value || document.querySelector('dialog[open]'))) return;
  let name = nameOf(event);
  if (single && first && Date.now() - firstAt < 1_200) name = `${first} ${name}`;
  first = single && event.key === 'g' ? 'g' : '';
  firstAt = Date.now();
  for (const handle of [...listeners].reverse()) {
    if (handle(name, event)) {
      event.preventDefault();
      first = '';
      return;
    }
  }
});
