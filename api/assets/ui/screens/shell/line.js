// The line above everything: offline, reconnecting, a new version.
import { html } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { boot, line, online, outdated } from '../../core/store.js';

export function Line() {
  let text = null;
  let action = null;
  if (!online.value) text = t('line.offline');
  else if (line.value) text = line.value;
  else if (outdated.value) {
    text = t('line.outdated');
    action = html`<button type="button" onClick=${() => location.reload()}>${t('reload')}</button>`;
  } else if (boot.value?.user && !boot.value.has_model) text = t('line.mock');
  return html`<div class="line" role="status">${text && html`<span>${text}</span>`}${action}</div>`;
}
