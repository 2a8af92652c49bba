// What of the files an answer rests on: the words themselves, and where they stand.
import { html } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';

export function Sources({ sources }) {
  return html`<details class="sources"><summary>${t('sources.count', { n: sources.length })}</summary><ol>${sources.map((one, at) => html`<li key=${at}>
    <p><span class="tag">${number(one.number)}</span> <strong dir="auto">${one.file}</strong>${one.page ? ` · ${t('files.page', { n: one.page })}` : ''}</p>
    <blockquote dir="auto">“${one.quote}”</blockquote></li>`)}</ol></details>`;
}
