// The providers of models: whether each is asked at the moment, and how many of its keys rest.
import { html } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { Empty, Loaded } from '../../parts/list.js';
import { Hold, useLive, useOrder } from './live.js';

const TAGS = { closed: 'ok', half_open: 'warn', open: 'bad' };
const hurt = (one) => ({ open: 1e6, half_open: 1e5 }[one.breaker] ?? 0) + one.resting_keys;

export function Providers() {
  const live = useLive('providers');
  const { sort, watch } = useOrder();
  return html`<${Hold} live=${live} /><${Loaded} of=${live}>${({ items }) => (items.length ? html`
    <div class="scroll" role="region" tabindex="0" aria-label=${t('ops.providers')} ...${watch}><table class="full"><thead><tr><th scope="col">${t('ops.provider')}</th>
      <th scope="col">${t('ops.model')}</th><th scope="col">${t('ops.state')}</th><th scope="col" class="num">${t('ops.keys')}</th><th scope="col" class="num">${t('ops.resting')}</th></tr></thead>
    <tbody>${sort(items, hurt).map((one) => html`<tr key=${one.name}><th scope="row">${one.name}</th><td><code>${one.model}</code></td>
      <td><span class=${`tag ${TAGS[one.breaker] ?? ''}`}>${word('breaker', one.breaker)}</span>${one.open_for ? html` <span class="quiet">${t('ops.open.for', { s: Math.ceil(one.open_for) })}</span>` : null}</td>
      <td class="num">${number(one.keys)}</td><td class=${`num${one.resting_keys ? ' late' : ''}`}>${number(one.resting_keys)}</td></tr>`)}</tbody></table></div>
    <p class="quiet">${t('ops.providers.help')}</p>` : html`<${Empty} text=${t('ops.providers.none')} />`)}<//>`;
}
