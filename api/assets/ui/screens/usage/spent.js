// Messages by day; tokens and cost by day and model, and by kind of work.
import { html } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { byDay, Chart } from '../../parts/chart.js';
import { dollars } from './quota.js';

/** Models with a colour of their own; the others are put together. */
const MODELS = 5;
const OTHERS = ' others';

export function Activity({ activity, days }) {
  return html`<p>${t('usage.messages.sum', { n: activity.total_messages })} · ${t('usage.chats.sum', { n: activity.total_sessions })} · ${t('usage.days.sum', { n: activity.active_days })}</p>
    <${Chart} title=${t('usage.messages')} rows=${byDay(activity.by_day.map(({ date, messages }) => ({ date, messages })), days)} series=${[{ key: 'messages', name: t('usage.messages.word') }]} />`;
}

function sums(lines, of) {
  const found = new Map();
  for (const line of lines) {
    const name = of(line);
    const old = found.get(name) ?? { requests: 0, tokens: 0, cost: 0 };
    found.set(name, { requests: old.requests + line.requests, tokens: old.tokens + line.prompt_tokens + line.completion_tokens, cost: old.cost + line.cost });
  }
  return [...found].sort((a, b) => b[1].tokens - a[1].tokens);
}

function Sums({ title, first, rows }) {
  return html`<h3>${title}</h3><div class="scroll" role="region" tabindex="0" aria-label=${title}><table class="full"><thead><tr><th scope="col">${first}</th><th scope="col" class="num">${t('usage.requests')}</th>
    <th scope="col" class="num">${t('usage.tokens')}</th><th scope="col" class="num">${t('usage.cost')}</th></tr></thead>
    <tbody>${rows.map(([name, sum]) => html`<tr key=${name}><th scope="row" dir="auto">${name}</th><td class="num">${number(sum.requests)}</td><td class="num">${number(sum.tokens)}</td><td class="num">${dollars(sum.cost)}</td></tr>`)}</tbody></table></div>`;
}

export function Spent({ usage, days }) {
  const { lines, total } = usage;
  const models = sums(lines, (line) => line.model);
  const names = models.slice(0, MODELS).map(([name]) => name);
  const keyOf = (line) => (names.includes(line.model) ? line.model : OTHERS);
  const series = [...names.map((name) => ({ key: name, name })), ...(models.length > MODELS ? [{ key: OTHERS, name: t('usage.others') }] : [])];
  const tokens = lines.map((line) => ({ date: line.date, [keyOf(line)]: line.prompt_tokens + line.completion_tokens }));
  const cost = lines.map((line) => ({ date: line.date, [keyOf(line)]: line.cost }));
  return html`<p>${t('usage.tokens.sum', { n: total.prompt_tokens + total.completion_tokens })} · ${t('usage.tokens.parts', { read: total.prompt_tokens, written: total.completion_tokens })} · ${dollars(total.cost)}</p>
    <${Chart} title=${t('usage.tokens.day')} rows=${byDay(tokens, days)} series=${series.length ? series : [{ key: 'none', name: t('usage.tokens') }]} />
    ${total.cost > 0 && html`<${Chart} title=${t('usage.cost.day')} rows=${byDay(cost, days)} series=${series} format=${dollars} />`}
    ${lines.length > 0 && html`<${Sums} title=${t('usage.by.model')} first=${t('ops.model')} rows=${models} />
      <${Sums} title=${t('usage.by.work')} first=${t('usage.work')} rows=${sums(lines, (line) => word('job', line.kind))} />`}`;
}
