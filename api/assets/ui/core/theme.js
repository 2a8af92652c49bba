// Light, dark, or as the system says.
import { signal } from './dom.js';

const KEY = 'rapport.theme';
const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };

export const theme = signal(kept() ?? 'system');

export function show(choice) {
  theme.value = choice;
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}

export function choose(choice) {
  show(choice);
  try { localStorage.setItem(KEY, choice); } catch { /* asked for again next time */ }
}
