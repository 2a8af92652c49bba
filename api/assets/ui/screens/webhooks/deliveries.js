// What one webhook was told: when, what came back, how often it was tried, when it is tried next; and sending it again.
import { html, useState } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { moment } from '../../core/time.js';
import { get, post, Problem } from '../../api/client.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Events } from './events.js';

const PAGE = 50;
/** A delivery that was asked for again is away for about so long. */
const SOON = 1_500;
const KINDS = { delivered: 'ok', pending: 'warn', failed: 'bad' };

/** What the receiver gets, asked for when it is opened. */
function Body({ hook, one }) {
  const [body, setBody] = useState(undefined);
  const open = async (event) => {
    if (!event.currentTarget.open || body !== undefined) return;
    setBody((await get('delivery', { id: hook.id, delivery_id: one.id }).catch(() => null))?.body ?? null);
  };
  return html`<details onToggle=${open}><summary>${t('hooks.body')}</summary>
    ${body === null ? html`<p class="quiet">${t('hooks.body.gone')}</p>` : body && html`<pre tabindex="0">${JSON.stringify(body, null, 2).slice(0, 20_000)}</pre>`}</details>`;
}

function Line({ hook, one, onAgain }) {
  return html`<tr role="row"><th role="rowheader" scope="row"><code>${one.event}</code><br /><span class="quiet">${moment(one.created_at)}</span><${Body} hook=${hook} one=${one} /></th>
    <td role="cell" data-label=${t('delivery.col.status')}><span class=${`tag ${KINDS[one.status] ?? ''}`}>${word('delivery', one.status)}</span></td>
    <td role="cell" data-label=${t('delivery.col.answer')}>${one.answer ? html`<code>${one.answer}</code>` : ''}${one.error && html`<p class="quiet" dir="auto">${one.error}</p>`}</td>
    <td role="cell" class="num" data-label=${t('delivery.col.tries')}>${number(one.attempts)}</td>
    <td role="cell" data-label=${t('delivery.col.next')}>${one.status === 'pending' ? moment(one.next_at) : one.delivered_at && one.status === 'delivered' ? t('delivery.at', { when: moment(one.delivered_at) }) : ''}</td>
    <td role="cell"><button type="button" class="plain" aria-label=${t('hooks.again.of', { event: one.event, when: moment(one.created_at) })} onClick=${onAgain}>${t('hooks.again')}</button></td></tr>`;
}

export function Deliveries({ hook, onDelete }) {
  const list = useLoad(async () => { const { items } = await get('deliveries', { id: hook.id }, { limit: PAGE }); return { items, full: items.length === PAGE }; }, [hook.id]);
  const [problem, setProblem] = useState(null);
  const attempt = async (act) => {
    setProblem(null);
    try { await act(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const again = (one) => attempt(async () => {
    await post('redeliver', { id: hook.id, delivery_id: one.id });
    toast(t('hooks.again.done'));
    list.reload();
    setTimeout(list.reload, SOON);
  });
  const tried = () => attempt(async () => {
    await post('hookTest', { id: hook.id });
    toast(t('hooks.test.done'));
    setTimeout(list.reload, SOON);
  });
  const more = () => attempt(async () => {
    const { items } = await get('deliveries', { id: hook.id }, { limit: PAGE, skip: list.data.items.length });
    list.set((old) => ({ items: [...old.items, ...items.filter(({ id }) => !old.items.some((one) => one.id === id))], full: items.length === PAGE }));
  });
  return html`<section class="card"><h2 dir="ltr">${hook.url}</h2><p><${Events} of=${hook.events} /></p>
      <div class="row"><button type="button" onClick=${tried}>${t('hooks.test')}</button>
        <button type="button" onClick=${list.reload} disabled=${list.loading}>${t('hooks.look')}</button><button type="button" class="plain" onClick=${onDelete}>${t('hooks.delete')}</button></div></section>
    <${ProblemLine} problem=${problem} />
    <h3>${t('hooks.deliveries')}</h3>
    <${Loaded} of=${list}>${({ items, full }) => (items.length ? html`<div class="scroll card" role="region" tabindex="0" aria-label=${t('hooks.deliveries')}><table class="wide-table" role="table">
      <thead role="rowgroup"><tr role="row">${['what', 'status', 'answer', 'tries', 'next'].map((one) => html`<th role="columnheader" scope="col" key=${one} class=${one === 'tries' ? 'num' : ''}>${t(`delivery.col.${one}`)}</th>`)}<td role="cell"></td></tr></thead>
      <tbody role="rowgroup">${items.map((one) => html`<${Line} key=${one.id} hook=${hook} one=${one} onAgain=${() => again(one)} />`)}</tbody></table></div><${More} shown=${full} onMore=${more} />`
      : html`<${Empty} text=${t('deliveries.empty')} />`)}<//>`;
}
