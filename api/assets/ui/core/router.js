// Addresses are fragments: `#/chat/sess_…`. A screen is a module that is fetched when first needed.
import { signal } from './dom.js';

const read = () => {
  const text = location.hash.replace(/^#\/?/, '');
  const [path, query = ''] = text.split('?');
  return { parts: path.split('/').filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query), path };
};

export const route = signal(read());
addEventListener('hashchange', () => { route.value = read(); });

export function go(path, { replace = false } = {}) {
  const hash = `#/${path}`;
  if (location.hash === hash) return;
  if (replace) {
    history.replaceState(null, '', hash);
    route.value = read();
  } else {
    location.hash = hash;
  }
}

export const href = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;
