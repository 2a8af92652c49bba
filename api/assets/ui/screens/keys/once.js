// Something to copy: shown whole, with a button that says whether it was copied.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { copy } from '../../core/copy.js';
import { say } from '../../core/store.js';

export function Once({ text, label, value }) {
  const [told, setTold] = useState('');
  const act = async () => {
    const word = t((await copy(value)) ? 'copied' : 'copy.failed');
    setTold(word);
    say(word);
  };
  return html`<div class="once">${text && html`<p>${text}</p>`}
    <div class="once-head"><strong>${label}</strong><button type="button" class="plain" aria-label=${`${told || t('copy')}: ${label}`} onClick=${act}>${told || t('copy')}</button></div>
    <pre><code>${value}</code></pre></div>`;
}
