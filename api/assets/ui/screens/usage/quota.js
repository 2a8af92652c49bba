// What of a day's budget is used, as bars, and the hour at which the next day begins.
import { html } from '../../core/dom.js';
import { language, number, t } from '../../core/i18n.js';

export const dollars = (value) => number(value, { style: 'currency', currency: 'USD', maximumFractionDigits: value < 1 ? 4 : 2 });

/** Midnight UTC, as the clock on this wall shows it. */
function ends() {
  const now = new Date();
  const next = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1));
  return new Intl.DateTimeFormat(language.value, { hour: 'numeric', minute: '2-digit' }).format(next);
}

function Bar({ name, used, limit, format }) {
  if (!limit) return html`<div class="quota"><strong>${name}</strong><span class="quiet">${t('usage.used.free', { used: format(used) })}</span></div>`;
  const share = Math.min(1, used / limit);
  const id = `quota-${name}`;
  return html`<div class="quota"><strong id=${id}>${name}</strong><meter min="0" max="1" high="0.9" optimum="0" value=${share} aria-labelledby=${id}></meter>
    <span class="quiet">${t('usage.used', { used: format(used), limit: format(limit), left: format(Math.max(0, limit - used)) })}</span></div>`;
}

export function Left({ left }) {
  const limited = left.daily_tokens || left.daily_cost;
  return html`<div class="card quotas"><${Bar} name=${t('usage.tokens')} used=${left.tokens_used} limit=${left.daily_tokens} format=${(value) => number(value)} />
    <${Bar} name=${t('usage.cost')} used=${left.cost_used} limit=${left.daily_cost} format=${dollars} />
    <p class="quiet">${t(limited ? 'usage.ends' : 'usage.ends.free', { when: ends() })}</p></div>`;
}
