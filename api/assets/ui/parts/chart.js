// Charts drawn as SVG: stacked bars by day and small lines, each with a title, a description and the same as a table.
import { html, useState } from '../core/dom.js';
import { language, number, t } from '../core/i18n.js';

const HEIGHT = 100;
/** More bars than this are put together by month. */
const MOST = 120;
const DAY = 86_400_000;
let count = 0;

const iso = (time) => new Date(time).toISOString().slice(0, 10);
const label = (date, options) => new Intl.DateTimeFormat(language.value, { timeZone: 'UTC', ...options }).format(new Date(date.length === 7 ? `${date}-01` : date));

/** “3 November”, or “November 2026” for a month. */
export const dayName = (date) => label(date, date.length === 7 ? { month: 'long', year: 'numeric' } : { day: 'numeric', month: 'long' });

/**
 * Rows {date, [series]: value} with a row for every day (UTC) of the range, or by month when that is too many.
 * `days` is how many before today (the API counts from this hour, so that day is not whole); null begins at the first one.
 */
export function byDay(rows, days) {
  const today = Date.parse(iso(Date.now()));
  const begin = days ? today - days * DAY : rows.length ? Date.parse(rows.reduce((least, row) => (row.date < least ? row.date : least), rows[0].date)) : today;
  const monthly = (today - begin) / DAY >= MOST;
  const found = new Map();
  for (let time = begin; time <= today; time += DAY) {
    const date = iso(time).slice(0, monthly ? 7 : 10);
    if (!found.has(date)) found.set(date, { date });
  }
  for (const { date, ...values } of rows) {
    const row = found.get(date.slice(0, monthly ? 7 : 10));
    if (!row) continue;
    for (const [name, value] of Object.entries(values)) row[name] = (row[name] ?? 0) + value;
  }
  return [...found.values()];
}

function Table({ title, rows, series, format, first }) {
  return html`<div class="scroll" role="region" tabindex="0" aria-label=${title}><table class="full"><thead><tr><th scope="col">${first}</th>
    ${series.map(({ key, name }) => html`<th key=${key} scope="col" class="num">${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.date}><th scope="row">${dayName(row.date)}</th>
      ${series.map(({ key }) => html`<td key=${key} class="num">${format(row[key] ?? 0)}</td>`)}</tr>`)}</tbody></table></div>`;
}

function Bars({ rows, series, highest, format, id, title, desc }) {
  const wide = 10;
  return html`<svg class="bars" viewBox=${`0 0 ${rows.length * wide} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-labelledby=${`${id}-title ${id}-desc`}>
    <title id=${`${id}-title`}>${title}</title><desc id=${`${id}-desc`}>${desc}</desc>
    ${rows.map((row, at) => {
      let top = HEIGHT;
      const words = `${dayName(row.date)}: ${series.map(({ key, name }) => `${name} ${format(row[key] ?? 0)}`).join(', ')}`;
      return html`<g key=${row.date}><title>${words}</title><rect class="ground" x=${at * wide} y="0" width=${wide} height=${HEIGHT} />
        ${series.map(({ key }, which) => {
          const height = ((row[key] ?? 0) / highest) * HEIGHT;
          top -= height;
          return height > 0 ? html`<rect key=${key} class=${`series-${which % 6}`} x=${at * wide + 1} y=${top} width=${wide - 2} height=${height} />` : null;
        })}</g>`;
    })}</svg>`;
}

/**
 * A chart by day: `rows` of {date, [key]: value}, `series` of {key, name}. Says its sum and its highest day in words.
 */
export function Chart({ title, rows, series, format = (value) => number(value) }) {
  const [id] = useState(() => `chart-${(count += 1)}`);
  const [table, setTable] = useState(false);
  const sum = (row) => series.reduce((all, { key }) => all + (row[key] ?? 0), 0);
  const total = rows.reduce((all, row) => all + sum(row), 0);
  const best = rows.reduce((most, row) => (sum(row) > sum(most) ? row : most), rows[0] ?? { date: iso(Date.now()) });
  const desc = total > 0 ? t('chart.desc', { total: format(total), day: dayName(best.date), most: format(sum(best)) }) : t('chart.none');
  return html`<figure class="chart"><figcaption><h3>${title}</h3><button type="button" class="plain" aria-expanded=${table} onClick=${() => setTable(!table)}>
      ${t(table ? 'chart.hide' : 'chart.table')}<span class="sr"> ${title}</span></button></figcaption>
    <p class="quiet">${desc}</p>
    ${total > 0 && html`<div class="plot"><span class="quiet high" aria-hidden="true">${format(sum(best))}</span>
      <${Bars} id=${id} title=${title} desc=${desc} rows=${rows} series=${series} highest=${sum(best)} format=${format} />
      <div class="ends quiet" aria-hidden="true"><span>${dayName(rows[0].date)}</span><span>${dayName(rows[rows.length - 1].date)}</span></div></div>
    ${series.length > 1 && html`<ul class="legend">${series.map(({ key, name }, which) => html`<li key=${key}><svg width="10" height="10" aria-hidden="true"><rect class=${`series-${which % 6}`} width="10" height="10" rx="2" /></svg> <span dir="auto">${name}</span></li>`)}</ul>`}`}
    ${table && html`<${Table} title=${title} rows=${rows} series=${series} format=${format} first=${t('chart.day')} />`}</figure>`;
}

/** Parts of a whole as rows with a bar each: [{key, name, value}]. Words and figures carry it; the bar only shows it. */
export function Shares({ title, items, format = (value) => number(value) }) {
  const highest = Math.max(1, ...items.map((item) => item.value));
  return html`<div class="shares"><h3>${title}</h3><table class="full"><tbody>${items.map(({ key, name, value, href }) => html`<tr key=${key}><th scope="row" dir="auto">${href ? html`<a href=${href}>${name}</a>` : name}</th>
    <td class="bar"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="series-0" width=${(value / highest) * 100} height="8" /></svg></td>
    <td class="num">${format(value)}</td></tr>`)}</tbody></table></div>`;
}

/** The last values of something, in a word's height: for the eye only, the figure stands beside it. */
export function Spark({ values, length }) {
  const highest = Math.max(1, ...values);
  const from = length - values.length;
  return html`<svg class="spark" viewBox=${`0 0 ${length * 3} 20`} aria-hidden="true">
    <line x1="0" y1="19.5" x2=${length * 3} y2="19.5" />
    ${values.map((value, at) => (value > 0 ? html`<rect key=${at} x=${(from + at) * 3} y=${19 - (value / highest) * 18} width="2" height=${(value / highest) * 18} />` : null))}</svg>`;
}
