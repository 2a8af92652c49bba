// The health of what is remembered, in its four parts with what to do about each; and how much of what there is.
import { html } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { href } from '../../core/router.js';
import { byDay, Chart, Shares } from '../../parts/chart.js';
import { Empty } from '../../parts/list.js';

/**
 * Each part of the health: how much it counts at most, and where it is improved.
 * @type {Record<string, [number, string]>}
 */
const PARTS = { verified: [40, '#/memory/review'], confidence: [30, '#/memory/all'], diversity: [15, '#/chat'], recency: [15, '#/memory/all'] };
const PLACES = { open_conflicts: '#/memory/conflicts', pending_verification: '#/memory/review', merge_suggestions: '#/memory/duplicates',
  expiring_soon: '#/memory/all', low_confidence: '#/memory/all', nothing_yet: '#/chat' };

function Health({ health }) {
  return html`<div class="card health"><p class="score"><strong>${number(Math.round(health.score))}</strong> <span class="quiet">${t('usage.health.of', { n: 100 })}</span></p>
    <dl>${Object.entries(PARTS).map(([part, [most, place]]) => {
      const value = health[part] ?? 0;
      return html`<div key=${part}><dt id=${`health-${part}`}>${t(`usage.health.${part}`)}</dt>
        <dd><meter min="0" max=${most} value=${value} aria-labelledby=${`health-${part}`}></meter> <span class="figure">${t('usage.of', { n: number(value, { maximumFractionDigits: 1 }), m: most })}</span>
        <p class="quiet">${value < most * 0.95 ? html`${t(`usage.health.${part}.do`)} <a href=${place}>${t(`usage.health.${part}.go`)}</a>` : t('usage.health.full')}</p></dd></div>`;
    })}</dl></div>`;
}

function Insights({ insights }) {
  if (!insights.length) return null;
  return html`<h3>${t('usage.todo')}</h3><ul class="plain-list">${insights.map((one) => {
    const n = Number(/\d+(\.\d+)?/.exec(one.message)?.[0] ?? 0);
    const known = one.type in PLACES;
    return html`<li key=${one.type} class="row"><span class=${`tag ${{ high: 'bad', medium: 'warn' }[one.priority] ?? ''}`}>${word('priority', one.priority)}</span>
      <span class="grow" dir="auto">${known ? t(`insight.${one.type}`, { n }) : one.message}</span>${known && html`<a href=${PLACES[one.type]}>${t(`insight.${one.type}.go`)}</a>`}</li>`;
  })}</ul>`;
}

const SERIES = ['kept', 'waiting', 'forgotten', 'replaced'];

/** A day's memories by what they are now; what is left over was merged, corrected or ran out. */
const becameOf = ({ date, count, kept, waiting, forgotten }) => ({ date, kept, waiting, forgotten, replaced: count - kept - waiting - forgotten });

export function MemoryFigures({ dashboard, top, days }) {
  const shares = (group, counts) => Object.entries(counts).filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]).map(([key, value]) => ({ key, name: word(group, key), value }));
  const used = top.filter((memory) => memory.access_count > 0).map((memory) => ({ key: memory.id, name: memory.content, value: memory.access_count, href: href('memory', memory.id) }));
  const { overview } = dashboard;
  if (!overview.total_memories) return html`<${Empty} text=${t('usage.memory.none')}><a href="#/chat">${t('chat.new')}</a><//>`;
  return html`<${Health} health=${dashboard.health} /><${Insights} insights=${dashboard.insights} />
    <${Chart} title=${t('usage.memory.new')} rows=${byDay(dashboard.by_day.map(becameOf), days)} series=${SERIES.map((key) => ({ key, name: t(`usage.became.${key}`) }))} />
    <div class="two-wide"><${Shares} title=${t('usage.by.status')} items=${shares('status', dashboard.by_status)} />
      <${Shares} title=${t('usage.by.kind')} items=${shares('type', dashboard.by_type)} /></div>
    ${used.length > 0 && html`<${Shares} title=${t('usage.most.used')} items=${used} format=${(n) => t('usage.times', { n })} />`}`;
}
