// An empty chat: what one can begin with.
import { html } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { boot, user } from '../../core/store.js';

export function First({ chat }) {
  const name = user.value.name || user.value.username || '';
  return html`<div class="first"><h2>${name ? t('first.hello', { name }) : t('first.hello.plain')}</h2>
    <ul><li><button type="button" onClick=${() => chat.fill(t('first.about.words'))}>${t('first.about')}</button><p class="quiet">${t('first.about.why')}</p></li>
      <li><a href="#/chats">${t('first.import')}</a><p class="quiet">${t('first.import.why')}</p></li>
      ${!boot.value.has_model && html`<li><strong>${t('first.model')}</strong><p class="quiet">${t('first.model.why')}</p>
        <pre tabindex="0">AI_SERVICES__OPENAI_API_KEY=sk-…</pre></li>`}</ul></div>`;
}
