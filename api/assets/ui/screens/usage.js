// What is remembered, said and spent, in figures: by a range of time, each chart also as a table.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { heading } from '../core/store.js';
import { get } from '../api/client.js';
import { Loaded, useLoad } from '../parts/list.js';
import { MemoryFigures } from './usage/memory.js';
import { Activity, Spent } from './usage/spent.js';
import { Left } from './usage/quota.js';

const RANGES = { '7d': 7, '30d': 30, '90d': 90, all: null };

export function Screen() {
  const [range, setRange] = useState('30d');
  const days = RANGES[range];
  useEffect(() => { heading.value = { title: t('usage'), actions: null }; }, []);
  const time = { time_range: range };
  const quota = useLoad(() => get('quota'), []);
  const memory = useLoad(() => Promise.all([get('dashboard', {}, time), get('top', {}, { metric: 'access_frequency', limit: 10 })]).then((data) => ({ data, days })), [range]);
  const activity = useLoad(() => get('activity', {}, time).then((data) => ({ data, days })), [range]);
  const usage = useLoad(() => get('usage', {}, time).then((data) => ({ data, days })), [range]);
  return html`<div class="page usage"><link rel="stylesheet" href=${new URL('../style/work.css', import.meta.url).href} />
    <section><h2>${t('usage.today')}</h2><${Loaded} of=${quota}>${(left) => html`<${Left} left=${left} />`}<//></section>
    <div class="row ranges" role="group" aria-label=${t('usage.range')}><span class="quiet">${t('usage.range')}</span>${Object.keys(RANGES).map((one) => html`
      <button key=${one} type="button" aria-pressed=${one === range} onClick=${() => setRange(one)}>${t(`usage.range.${one}`)}</button>`)}</div>
    <section><h2>${t('usage.memory')}</h2><${Loaded} of=${memory}>${({ data: [dashboard, top], days: of }) => html`<${MemoryFigures} dashboard=${dashboard} top=${top} days=${of} />`}<//></section>
    <section><h2>${t('usage.activity')}</h2><${Loaded} of=${activity}>${({ data, days: of }) => html`<${Activity} activity=${data} days=${of} />`}<//></section>
    <section><h2>${t('usage.spent')}</h2><${Loaded} of=${usage}>${({ data, days: of }) => html`<${Spent} usage=${data} days=${of} />`}<//></section></div>`;
}
