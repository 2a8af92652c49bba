// A new webhook: where to, what for; then its secret, once.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { newKey, post } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { useForm } from '../welcome/sign-in.js';
import { Once } from '../keys/once.js';
import { Checking } from './checking.js';
import { EVENTS } from './events.js';

export function Make({ onDone, onClose }) {
  const [url, setUrl] = useState('');
  const [events, setEvents] = useState(['job.failed']);
  const { problem, busy, submit } = useForm(async () => {
    onDone(await post('webhooks', {}, { url: url.trim(), events }, { key: newKey() }));
  });
  const errors = byField(problem);
  const toggle = (one) => (on) => setEvents((old) => EVENTS.filter((event) => (event === one ? on : old.includes(event))));
  return html`<${Dialog} title=${t('hooks.make')} onClose=${onClose}><form onSubmit=${submit}>
    <${Field} name="url" type="url" label=${t('hooks.url')} help=${t('hooks.url.help')} value=${url} onInput=${setUrl} error=${errors.url} required maxlength="2000" placeholder="https://example.com/rapport" autocomplete="off" />
    <fieldset class="scopes"><legend>${t('hooks.events')}</legend>${EVENTS.map((one) => html`<${Field} key=${one} name=${`event-${one}`} type="checkbox" label=${t(`hooks.on.${one}`)} help=${html`<code>${one}</code>`}
      value=${events.includes(one)} onInput=${toggle(one)} />`)}${errors.events && html`<p class="error">${errors.events}</p>`}</fieldset>
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="submit" class="act" disabled=${busy || !events.length}>${t('hooks.make')}</button></div></form><//>`;
}

export function Made({ made, onClose }) {
  return html`<${Dialog} title=${t('hooks.made')} fixed wide onClose=${onClose}>
    <${Once} text=${t('hooks.once')} label=${t('hooks.secret')} value=${made.secret} />
    <${Checking} />
    <div class="row end"><button type="button" class="act" onClick=${onClose}>${t('hooks.kept')}</button></div><//>`;
}
