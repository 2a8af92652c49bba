// Files that a person chooses, by a button or by dropping them on a page.
import { html, useRef, useState } from '../core/dom.js';

/** A button that asks for files. */
export function Choose({ label, onFiles, accept, act }) {
  const box = useRef(null);
  const chosen = (event) => {
    const files = [...event.target.files];
    // The same file may be chosen again.
    event.target.value = '';
    onFiles(files);
  };
  return html`<button type="button" class=${act ? 'act' : ''} onClick=${() => box.current.click()}>${label}</button>
    <input ref=${box} type="file" accept=${accept} multiple hidden aria-label=${label} onChange=${chosen} />`;
}

/** Gives {over, drag}: whether files are above the page, and what its element listens with. */
export function useDrop(onFiles) {
  const [over, setOver] = useState(false);
  const drag = { onDragOver: (event) => { if (event.dataTransfer?.types?.includes('Files')) { event.preventDefault(); setOver(true); } },
    onDragLeave: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) setOver(false); },
    onDrop: (event) => { event.preventDefault(); setOver(false); onFiles([...event.dataTransfer.files]); } };
  return { over, drag };
}
