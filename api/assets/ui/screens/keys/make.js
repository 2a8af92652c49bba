// A new API key: what it may do, until when, how much; then the key itself, once, with a request ready to send.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { user } from '../../core/store.js';
import { newKey, post } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { useForm } from '../welcome/sign-in.js';
import { Once } from './once.js';

/** The routes that a scope opens, as the API's policy says. */
const ROUTES = {
  chat: '/chat /models /tools /history /conversations /jobs /events',
  memory: '/memory /jobs /events',
  projects: '/projects',
  account: '/settings /analytics /users/me',
  admin: '/admin',
};
const scopes = () => Object.keys(ROUTES).filter((one) => one !== 'admin' || user.value?.role === 'admin');

export function Make({ onDone, onClose }) {
  const [key] = useState(newKey);
  const [form, setForm] = useState({ name: '', bound: 'all', scopes: ['chat'], expires: '', tokens: '' });
  const set = (field) => (value) => setForm((old) => ({ ...old, [field]: value }));
  const toggle = (scope) => (on) => set('scopes')(on ? [...form.scopes, scope] : form.scopes.filter((one) => one !== scope));
  const { problem, busy, submit } = useForm(async () => {
    const body = { name: form.name };
    if (form.bound === 'some') body.scopes = scopes().filter((one) => form.scopes.includes(one));
    if (form.expires) body.expires_at = new Date(`${form.expires}T23:59:59`).toISOString();
    if (form.tokens !== '') body.monthly_tokens = Number(form.tokens);
    // Another body is another wish: it gets a key of its own.
    onDone(await post('keys', {}, body, { key: `${key}-${btoa(encodeURIComponent(JSON.stringify(body))).slice(-120)}` }));
  });
  const errors = byField(problem);
  return html`<${Dialog} title=${t('keys.make')} onClose=${onClose}><form onSubmit=${submit}>
    <${Field} name="key-name" label=${t('keys.name')} help=${t('keys.name.help')} value=${form.name} onInput=${set('name')} error=${errors.name} required maxlength="100" autocomplete="off" />
    <${Field} name="bound" label=${t('keys.may')} value=${form.bound} onInput=${set('bound')} error=${errors.scopes}>
      <option value="all">${t('keys.all.long')}</option><option value="some">${t('keys.some')}</option><//>
    ${form.bound === 'some' && html`<fieldset class="scopes"><legend>${t('keys.scopes')}</legend>${scopes().map((one) => html`<${Field} key=${one} name=${`scope-${one}`} type="checkbox" label=${t(`scope.${one}.long`)}
      help=${html`<code>${ROUTES[one]}</code>`} value=${form.scopes.includes(one)} onInput=${toggle(one)} />`)}</fieldset>`}
    <div class="pairs"><${Field} name="expires" type="date" label=${t('keys.expires')} help=${t('keys.expires.help')} value=${form.expires} onInput=${set('expires')} error=${errors.expires_at} />
      <${Field} name="tokens" type="number" min="1" label=${t('keys.tokens')} help=${t('keys.tokens.help')} value=${form.tokens} onInput=${set('tokens')} error=${errors.monthly_tokens} /></div>
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="submit" class="act" disabled=${busy || (form.bound === 'some' && !form.scopes.length)}>${t('keys.make')}</button></div></form><//>`;
}

/** A request that the key may make. */
function request({ key, scopes: bound }) {
  const base = new URL('./api/v1', document.baseURI).href;
  const may = (scope) => !bound || bound.includes(scope);
  const head = `-H "Authorization: Bearer ${key}"`;
  if (may('chat')) return `curl ${base}/chat \\\n  ${head} \\\n  -H "Content-Type: application/json" \\\n  -d '{"message": "Hello"}'`;
  const path = may('memory') ? '/memory' : may('projects') ? '/projects' : may('account') ? '/settings' : '/admin/queues';
  return `curl ${base}${path} \\\n  ${head}`;
}

export function Made({ made, onClose }) {
  return html`<${Dialog} title=${t('keys.made')} fixed onClose=${onClose}>
    <${Once} text=${t('keys.once')} label=${t('keys.key')} value=${made.key} />
    <${Once} label=${t('keys.request')} value=${request(made)} />
    <div class="row end"><button type="button" class="act" onClick=${onClose}>${t('keys.kept')}</button></div><//>`;
}
