// A dialog that takes the focus, closes by Esc, and gives the focus back.
import { html, useEffect, useRef } from '../core/dom.js';
import { t } from '../core/i18n.js';

export function Dialog({ title, onClose, children, wide, fixed }) {
  const ref = useRef(null);
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    ref.current.showModal();
    return () => { before?.isConnected && before.focus?.(); };
  }, []);
  const cancel = (event) => { event.preventDefault(); if (!fixed) onClose(); };
  return html`<dialog ref=${ref} class=${wide ? 'wide' : ''} aria-labelledby="dialog-title" onCancel=${cancel}>
    <header><h2 id="dialog-title">${title}</h2>
      ${fixed ? null : html`<button type="button" class="plain" onClick=${onClose}>${t('close')}</button>`}</header>
    ${children}
  </dialog>`;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, text, verb, onYes, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <p>${text}</p>
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button>
      <button type="button" class="bad" onClick=${() => { onYes(); onClose(); }}>${verb}</button></div>
  <//>`;
}
