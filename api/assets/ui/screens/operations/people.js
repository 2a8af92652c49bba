// Accounts: who may sign in, and what each may spend a day.
import { html, useEffect, useState } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { composing } from '../../core/ime.js';
import { day } from '../../core/time.js';
import { user } from '../../core/store.js';
import { get, newKey, post, put, Problem } from '../../api/client.js';
import { Confirm, Dialog } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { nameOf } from './names.js';

/** Numbers as typed; what is empty is absent. */
const limit = (text) => (String(text).trim() === '' ? undefined : Number(text));

function Quota({ person, onClose }) {
  const [tokens, setTokens] = useState('');
  const [cost, setCost] = useState('');
  const [problem, setProblem] = useState(null);
  const save = async (event) => {
    event.preventDefault();
    try {
      await put('userQuota', { id: person.id }, { daily_tokens: limit(tokens), daily_cost: limit(cost) });
      toast(t('saved'));
      onClose();
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const errors = byField(problem);
  return html`<${Dialog} title=${t('ops.quota.of', { name: nameOf(person) })} onClose=${onClose}><form onSubmit=${save}>
    <p class="quiet">${t('ops.quota.help')}</p>
    <${Field} name="quota-tokens" type="number" min="0" step="1" label=${t('work.daily.tokens')} help=${t('work.no.limit.help')} value=${tokens} onInput=${setTokens} error=${errors.daily_tokens} />
    <${Field} name="quota-cost" type="number" min="0" step="any" label=${t('work.daily.cost')} value=${cost} onInput=${setCost} error=${errors.daily_cost} />
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="submit" class="act">${t('save')}</button></div></form><//>`;
}

export function People() {
  const [query, setQuery] = useState('');
  const [asked, setAsked] = useState('');
  const list = useLoad(() => get('people', {}, { q: asked, limit: 50 }), [asked]);
  const [asking, setAsking] = useState(null);
  const [quota, setQuota] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => { if (!query) setAsked(''); }, [query]);
  const more = async () => {
    const next = await get('people', {}, { q: asked, limit: 50, cursor: list.data.next_cursor });
    list.set((old) => ({ ...next, items: [...old.items, ...next.items] }));
  };
  const turn = async (person) => {
    setProblem(null);
    try {
      const changed = await post(person.is_active ? 'deactivateUser' : 'activate', { id: person.id }, {}, { key: newKey() });
      list.set((old) => ({ ...old, items: old.items.map((one) => (one.id === changed.id ? changed : one)) }));
      toast(t(changed.is_active ? 'ops.activated' : 'ops.deactivated', { name: nameOf(changed) }));
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const key = (event) => { if (event.key === 'Enter' && !composing(event)) setAsked(query.trim()); };
  return html`<div class="row filters"><label class="sr" for="people-search">${t('ops.people.search')}</label>
      <input id="people-search" type="search" class="grow" dir="auto" placeholder=${t('ops.people.search')} value=${query} onInput=${(event) => setQuery(event.target.value)} onKeyDown=${key} />
      <button type="button" onClick=${() => setAsked(query.trim())}>${t('work.search')}</button></div>
    <${ProblemLine} problem=${problem} />
    <${Loaded} of=${list}>${({ items, total, next_cursor: next }) => html`${!asked && html`<p class="quiet">${t('ops.people.count', { n: total })}</p>`}
      ${items.length ? html`<div class="scroll" role="region" tabindex="0" aria-label=${t('ops.people')}><table class="full acts"><thead><tr><th scope="col">${t('ops.name')}</th><th scope="col">${t('field.email')}</th>
        <th scope="col">${t('ops.role')}</th><th scope="col">${t('ops.state')}</th><th scope="col">${t('ops.registered')}</th><th scope="col"><span class="sr">${t('ops.act')}</span></th></tr></thead>
      <tbody>${items.map((person) => html`<tr key=${person.id}><th scope="row" dir="auto">${nameOf(person)}</th><td dir="auto">${person.email ?? ''}</td><td>${word('role', person.role)}</td>
        <td>${person.is_active ? html`<span class="tag ok">${t('ops.active')}</span>` : html`<span class="tag bad">${t('ops.inactive')}</span>`}</td><td class="one-line">${day(person.created_at)}</td>
        <td class="to-right"><div class="row end tight"><button type="button" onClick=${() => setQuota(person)}>${t('ops.quota')}<span class="sr"> ${nameOf(person)}</span></button>
          ${person.id === user.value.id ? html`<span class="quiet same">${t('ops.you')}</span>` : html`<button type="button" class="same" onClick=${() => (person.is_active ? setAsking(person) : turn(person))}>
            ${t(person.is_active ? 'ops.deactivate' : 'ops.activate')}<span class="sr"> ${nameOf(person)}</span></button>`}</div></td></tr>`)}</tbody></table></div>
      <${More} shown=${!!next} onMore=${more} />` : html`<${Empty} text=${t('search.empty')} />`}`}<//>
    ${asking && html`<${Confirm} title=${t('ops.deactivate.title', { name: nameOf(asking) })} text=${t('ops.deactivate.text')} verb=${t('ops.deactivate')} onYes=${() => turn(asking)} onClose=${() => setAsking(null)} />`}
    ${quota && html`<${Quota} person=${quota} onClose=${() => setQuota(null)} />`}`;
}
