// What files say about a question: passages, the best first.
import { html } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { post } from '../../api/client.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';

export function Found({ q }) {
  const found = useLoad(() => post('knowledge', {}, { query: q, limit: 20 }), [q]);
  return html`<${Loaded} of=${found}>${({ items }) => (items.length ? html`<ul class="hooks">${items.map(({ passage, file }) => html`<li key=${passage.id} class="card">
    <h2 dir="auto" class="found-in">${file}${passage.page ? ` · ${t('files.page', { n: passage.page })}` : ''}</h2>
    ${passage.heading && !passage.text.startsWith(passage.heading) && html`<p class="quiet" dir="auto">${passage.heading}</p>`}
    <p dir="auto" class="passage">${passage.text}</p></li>`)}</ul>` : html`<${Empty} text=${t('files.none')} />`)}<//>`;
}
