// All keys, on one card.
import { html } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { Dialog } from '../../parts/dialog.js';

const KEYS = [['Ctrl ⇧ O', 'keys.new'], ['/', 'keys.search'], ['Esc', 'keys.stop'], ['Alt ↑ ↓', 'keys.messages'], ['Alt ← →', 'keys.variants'],
  ['E R C', 'keys.message'], ['G C · G M · G P · G U · G O', 'keys.go'], ['J K', 'keys.move'], ['Y N E U', 'keys.review'], ['?', 'keys.help']];

export function Help({ onClose }) {
  return html`<${Dialog} title=${t('keys.title')} onClose=${onClose}>
    <dl class="keys">${KEYS.map(([key, word]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${t(word)}</dd></div>`)}</dl>
  <//>`;
}
