// Another password: all other devices are signed out, this one goes on.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { user } from '../../core/store.js';
import * as auth from '../../api/auth.js';
import { post } from '../../api/client.js';
import { Field } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { useForm } from '../welcome/sign-in.js';
import { device } from '../welcome/device.js';
import { errorsOf } from './wrong.js';

const EMPTY = { old: '', fresh: '', revoke: false };

export function Password() {
  const [form, setForm] = useState(EMPTY);
  const set = (field) => (value) => setForm((old) => ({ ...old, [field]: value }));
  const name = user.value.username ?? user.value.email ?? '';
  const { problem, busy, submit } = useForm(async () => {
    const changed = await post('changePassword', {}, { current_password: form.old, new_password: form.fresh, revoke_keys_and_webhooks: form.revoke }, { headers: auth.sessionHeader });
    device(changed.device_token);
    auth.signedIn(changed);
    setForm(EMPTY);
    toast(t('password.changed'));
  });
  const errors = errorsOf(problem, 'current_password');
  return html`<section class="card"><h2>${t('password.title')}</h2><form onSubmit=${submit}>
    <input type="text" name="account" autocomplete="username" value=${name} readonly hidden />
    <${Field} name="current-password" type="password" label=${t('field.password.old')} value=${form.old} onInput=${set('old')} error=${errors.current_password} autocomplete="current-password" required />
    <${Field} name="new-password" type="password" label=${t('field.password.new')} help=${t('field.password.help')} value=${form.fresh} onInput=${set('fresh')} error=${errors.new_password} autocomplete="new-password" required minlength="8" />
    <${Field} name="revoke" type="checkbox" label=${t('password.revoke')} help=${t('password.revoke.help')} value=${form.revoke} onInput=${set('revoke')} />
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <div class="row"><button type="submit" class="act" disabled=${busy}>${t('password.change')}</button></div></form></section>`;
}
