// The account: who one is, the password, leaving, taking everything along, and the end of it.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { boot, heading, say, user } from '../core/store.js';
import { patch } from '../api/client.js';
import { Field } from '../parts/field.js';
import { ProblemLine } from '../parts/problem.js';
import { useForm } from './welcome/sign-in.js';
import { Verify } from './welcome/codes.js';
import { Password } from './account/password.js';
import { Export } from './account/export.js';
import { End, SignOut } from './account/leaving.js';
import { errorsOf } from './account/wrong.js';

const known = (me) => { boot.value = { ...boot.value, user: me }; };

function Profile() {
  const me = user.value;
  const [form, setForm] = useState({ name: me.name ?? '', username: me.username ?? '', email: me.email ?? '', password: '' });
  const [saved, setSaved] = useState(false);
  const set = (field) => (value) => { setSaved(false); setForm((old) => ({ ...old, [field]: value })); };
  const moved = form.email.trim() !== (me.email ?? '') && form.email.trim() !== '';
  const { problem, busy, submit } = useForm(async () => {
    const body = {};
    for (const field of ['name', 'username']) if (form[field].trim() !== (me[field] ?? '')) body[field] = form[field].trim();
    if (moved) Object.assign(body, { email: form.email.trim(), password: form.password });
    const now = await patch('me', {}, body);
    known(now);
    setForm({ name: now.name ?? '', username: now.username ?? '', email: now.email ?? '', password: '' });
    setSaved(true);
    say(t('saved'));
  });
  const errors = errorsOf(problem, 'password');
  return html`<section class="card"><h2>${t('account.profile')}</h2><form onSubmit=${submit}>
    <${Field} name="name" label=${t('field.display')} value=${form.name} onInput=${set('name')} error=${errors.name} autocomplete="name" maxlength="100" />
    <${Field} name="username" label=${t('account.username')} value=${form.username} onInput=${set('username')} error=${errors.username} autocomplete="username" autocapitalize="none" maxlength="50" />
    <${Field} name="address" type="email" label=${t('field.email')} help=${t('account.email.help')} value=${form.email} onInput=${set('email')} error=${errors.email} autocomplete="email" required=${!!me.email} />
    ${moved && html`<${Field} name="address-password" type="password" label=${t('field.password.old')} help=${t('account.email.password')} value=${form.password} onInput=${set('password')}
      error=${errors.password} autocomplete="current-password" required />`}
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <div class="row"><button type="submit" class="act" disabled=${busy}>${t('save')}</button>${saved && html`<span class="good">${t('saved')}</span>`}</div></form></section>`;
}

function Address() {
  const me = user.value;
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [me.email]);
  if (!me.email) return html`<section class="card"><h2>${t('account.address')}</h2><p>${t('account.address.none')}</p></section>`;
  if (me.is_verified) return html`<section class="card"><h2>${t('account.address')}</h2><p><span class="tag ok">${t('account.verified')}</span> <span dir="auto">${me.email}</span></p></section>`;
  const done = () => { known({ ...me, is_verified: true }); say(t('account.verified')); };
  return html`<section class="card"><h2>${t('account.address')}</h2>
    <p><span class="tag warn">${t('account.unverified')}</span> <span dir="auto">${me.email}</span></p><p class="quiet">${t('account.unverified.text')}</p>
    ${open ? html`<${Verify} key=${me.email} email=${me.email} onDone=${done} />` : html`<button type="button" onClick=${() => setOpen(true)}>${t('account.verify')}</button>`}</section>`;
}

export function Screen() {
  const title = t('account');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  return html`<div class="page narrow"><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    <${Profile} /><${Address} /><${Password} /><${SignOut} /><${Export} /><${End} /></div>`;
}
