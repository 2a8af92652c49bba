// The audit log: who did what, to whom, when and from where; by person and event, page by page.
import { html, useEffect, useState } from '../../core/dom.js';
import { number, t, word } from '../../core/i18n.js';
import { moment } from '../../core/time.js';
import { download } from '../../core/copy.js';
import { get } from '../../api/client.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { loadNames, who } from './names.js';

const EVENTS = ['email_changed', 'profile_changed', 'admin_made', 'promoted', 'role_set', 'activated_by_admin', 'deactivated_by_admin', 'deactivated', 'password_changed', 'password_reset', 'password_reset_by_admin',
  'email_verified', 'api_key_made', 'api_key_deleted', 'provider_key_set', 'tool_made', 'quota_set', 'queue_paused', 'queue_resumed', 'dead_jobs_retried', 'dead_jobs_discarded'];

/** “queue: background · asked: 3”: the API's own names, without what is empty. */
const inWords = (detail) => Object.entries(detail).filter(([, value]) => value !== null && value !== undefined)
  .map(([name, value]) => `${name}: ${Array.isArray(value) ? `${value.slice(0, 2).join(', ')}${value.length > 2 ? ` … (${number(value.length)})` : ''}` : typeof value === 'object' ? JSON.stringify(value) : value}`).join(' · ');

export function Audit() {
  const [event, setEvent] = useState('');
  const [person, setPerson] = useState('');
  const people = useLoad(() => get('people', {}, { limit: 200 }), []);
  const list = useLoad(() => get('audit', {}, { event, user_id: person, limit: 50 }), [event, person]);
  useEffect(loadNames, []);
  const more = async () => {
    const next = await get('audit', {}, { event, user_id: person, limit: 50, cursor: list.data.next_cursor });
    list.set((old) => ({ items: [...old.items, ...next.items], next_cursor: next.next_cursor }));
  };
  const save = () => download('audit.json', new Blob([JSON.stringify(list.data.items, null, 2)], { type: 'application/json' }));
  return html`<div class="row filters"><div class="row"><label class="quiet" for="audit-event">${t('ops.event')}</label>
      <select id="audit-event" value=${event} onChange=${(change) => setEvent(change.target.value)}><option value="">${t('any')}</option>
        ${EVENTS.map((one) => html`<option key=${one} value=${one}>${word('audit', one)}</option>`)}</select></div>
      <div class="row"><label class="quiet" for="audit-person">${t('ops.about')}</label>
      <select id="audit-person" value=${person} onChange=${(change) => setPerson(change.target.value)}><option value="">${t('any')}</option>
        ${(people.data?.items ?? []).map((one) => html`<option key=${one.id} value=${one.id}>${who(one.id)}</option>`)}</select></div>
      <button type="button" onClick=${() => list.reload()}>${t('ops.refresh')}</button></div>
    <${Loaded} of=${list}>${({ items, next_cursor: next }) => (items.length ? html`
      <div class="scroll" role="region" tabindex="0" aria-label=${t('ops.audit')}><table class="full"><thead><tr><th scope="col">${t('ops.when')}</th><th scope="col">${t('ops.event')}</th>
        <th scope="col">${t('ops.actor')}</th><th scope="col">${t('ops.about')}</th><th scope="col">${t('ops.address')}</th><th scope="col">${t('details')}</th></tr></thead>
      <tbody>${items.map((entry) => html`<tr key=${entry.id}><td class="one-line">${moment(entry.created_at)}</td><td>${word('audit', entry.event)}</td><td dir="auto">${who(entry.actor)}</td>
        <td dir="auto">${entry.user_id ? who(entry.user_id) : ''}</td><td class="one-line">${entry.address ?? ''}</td>
        <td>${entry.detail ? html`<span class="detail" dir="auto">${inWords(entry.detail)}</span>` : ''}</td></tr>`)}</tbody></table></div>
      <div class="row"><button type="button" onClick=${save}>${t('ops.download', { n: items.length })}</button></div>
      <${More} shown=${!!next} onMore=${more} />` : html`<${Empty} text=${t('ops.audit.none')} />`)}<//>`;
}
