// The versions of a prompt: any two compared by words, and any of them used again.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { moment } from '../../core/time.js';
import { get } from '../../api/client.js';
import { Loaded, useLoad } from '../../parts/list.js';
import { Diff } from '../memory/card.js';

/** The text in the editor, among the versions. */
const DRAFT = 'draft';

function Compare({ items, draft, changed }) {
  const [before, setBefore] = useState(null);
  const [after, setAfter] = useState(null);
  const newest = changed ? DRAFT : String(items[0].version);
  const right = after ?? newest;
  const left = before ?? String(changed ? items[0].version : items[1]?.version ?? items[0].version);
  const text = (which) => (which === DRAFT ? draft : items.find((one) => String(one.version) === which)?.content ?? '');
  const pick = (id, label, value, set) => html`<label class="quiet" for=${id}>${label}</label><select id=${id} value=${value} onChange=${(event) => set(event.target.value)}>
    ${changed && html`<option value=${DRAFT}>${t('prompt.draft')}</option>`}${items.map((one) => html`<option key=${one.version} value=${String(one.version)}>${t('prompt.version', { n: one.version })}</option>`)}</select>`;
  return html`<div class="row">${pick('compare-before', t('prompt.compare'), left, setBefore)}${pick('compare-after', t('prompt.with'), right, setAfter)}</div>
    <div class="compared" tabindex="0" role="region" aria-label=${t('prompt.compared')}>${text(left) === text(right) ? html`<p class="quiet">${t('prompt.same')}</p>` : html`<${Diff} before=${text(left)} after=${text(right)} />`}</div>`;
}

export function Versions({ places, prompt, draft, onUse }) {
  const list = useLoad(() => get('versions', places), [prompt.id, prompt.version, prompt.updated_at]);
  const changed = draft !== prompt.content;
  return html`<section class="versions"><h3>${t('prompt.versions')}</h3><${Loaded} of=${list}>${({ items }) => html`
    <ul class="plain-list">${items.map((one) => html`<li key=${one.version} class="row"><strong>${t('prompt.version', { n: one.version })}</strong><span class="quiet grow">${moment(one.created_at)}</span>
      ${one.version === prompt.version ? html`<span class="tag ok">${t('prompt.in.use')}</span>` : html`<button type="button" onClick=${() => onUse(one.version)}>${t('prompt.use')}<span class="sr"> ${t('prompt.version', { n: one.version })}</span></button>`}</li>`)}</ul>
    ${(items.length > 1 || changed) && html`<${Compare} items=${items} draft=${draft} changed=${changed} />`}`}<//></section>`;
}
