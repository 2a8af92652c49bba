// API keys: which there are, what each may do, made and shown once, deleted.
import { html, useEffect, useState } from '../core/dom.js';
import { number, t } from '../core/i18n.js';
import { ago, day, full } from '../core/time.js';
import { heading } from '../core/store.js';
import { get, Problem, remove } from '../api/client.js';
import { Confirm } from '../parts/dialog.js';
import { Empty, Loaded, useLoad } from '../parts/list.js';
import { ProblemLine } from '../parts/problem.js';
import { toast } from '../parts/toast.js';
import { Made, Make } from './keys/make.js';

function Line({ one, onDelete }) {
  const over = one.expires_at && new Date(one.expires_at) <= new Date();
  const expiry = !one.expires_at ? t('keys.never') : over ? html`<span class="tag bad">${t('keys.over', { when: day(one.expires_at) })}</span>` : day(one.expires_at);
  return html`<tr role="row"><th role="rowheader" scope="row" dir="auto">${one.name}<br />${one.is_client ? html`<span class="tag">${t('keys.client')}</span>` : html`<code>${one.prefix}…</code>`}</th>
    <td role="cell" data-label=${t('keys.col.scopes')}>${one.scopes ? one.scopes.map((scope) => html`<span class="tag" key=${scope}>${t(`scope.${scope}`)}</span> `) : t('keys.all')}</td>
    <td role="cell" data-label=${t('keys.col.expiry')}>${expiry}</td><td role="cell" class="num" data-label=${t('keys.col.tokens')}>${one.monthly_tokens ? number(one.monthly_tokens) : t('keys.unbound')}</td>
    <td role="cell" data-label=${t('keys.col.used')}>${one.last_used_at ? html`<span title=${full(one.last_used_at)}>${ago(one.last_used_at)}</span>` : t('keys.unused')}</td>
    <td role="cell"><button type="button" class="plain" aria-label=${t('keys.delete.of', { name: one.name })} onClick=${onDelete}>${t('delete')}</button></td></tr>`;
}

export function Screen() {
  const list = useLoad(() => get('keys'), []);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(null);
  const [asking, setAsking] = useState(null);
  const [problem, setProblem] = useState(null);
  const title = t('keys');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  const drop = async (one) => {
    setProblem(null);
    try { await remove('key', { id: one.id }); toast(t('keys.deleted')); list.reload(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const done = (answer) => { setMaking(false); setMade(answer); list.reload(); };
  return html`<div class="page"><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    <div class="row"><p class="quiet grow">${t('keys.text')}</p><button type="button" class="act" onClick=${() => setMaking(true)}>${t('keys.make')}</button></div>
    <${ProblemLine} problem=${problem} />
    <${Loaded} of=${list}>${({ items }) => (items.length ? html`<div class="scroll card" role="region" tabindex="0" aria-label=${t('keys')}><table class="wide-table" role="table">
      <thead role="rowgroup"><tr role="row">${['name', 'scopes', 'expiry', 'tokens', 'used'].map((one) => html`<th role="columnheader" scope="col" key=${one} class=${one === 'tokens' ? 'num' : ''}>${t(`keys.col.${one}`)}</th>`)}<td role="cell"></td></tr></thead>
      <tbody role="rowgroup">${items.map((one) => html`<${Line} key=${one.id} one=${one} onDelete=${() => setAsking(one)} />`)}</tbody></table></div>` : html`<${Empty} text=${t('keys.empty')} />`)}<//>
    ${making && html`<${Make} onDone=${done} onClose=${() => setMaking(false)} />`}
    ${made && html`<${Made} made=${made} onClose=${() => setMade(null)} />`}
    ${asking && html`<${Confirm} title=${t('keys.delete')} text=${t('keys.delete.text', { name: asking.name })} verb=${t('delete')} onClose=${() => setAsking(null)} onYes=${() => drop(asking)} />`}</div>`;
}
