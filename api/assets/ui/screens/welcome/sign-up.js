// A new account: name, address if wanted, password.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { call, newKey } from '../../api/client.js';
import * as auth from '../../api/auth.js';
import { Field, byField } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { useForm } from './sign-in.js';
import { device } from './device.js';

export function SignUp({ onDone }) {
  const [key] = useState(newKey);
  const [form, setForm] = useState({ username: '', email: '', password: '' });
  const set = (field) => (value) => setForm((old) => ({ ...old, [field]: value }));
  const { problem, busy, submit } = useForm(async () => {
    const body = { username: form.username, password: form.password };
    if (form.email.trim()) body.email = form.email;
    const answer = await call('POST', 'register', { body, key: `${key}-${body.username}`.slice(0, 200).replace(/[^\x21-\x7e]/g, '_'), anonymous: true, headers: auth.sessionHeader });
    device(answer.device_token);
    auth.signedIn(answer);
    await onDone();
  });
  const errors = byField(problem);
  return html`<form onSubmit=${submit}>
    <${Field} name="username" label=${t('field.username')} value=${form.username} onInput=${set('username')} error=${errors.username}
      autocomplete="username" autocapitalize="none" required minlength="3" maxlength="50" />
    <${Field} name="email" type="email" label=${t('field.email.optional')} help=${t('field.email.why')} value=${form.email} onInput=${set('email')}
      error=${errors.email} autocomplete="email" />
    <${Field} name="password" type="password" label=${t('field.password')} help=${t('field.password.help')} value=${form.password}
      onInput=${set('password')} error=${errors.password} autocomplete="new-password" required minlength="8" />
    <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
    <button type="submit" class="act" disabled=${busy}>${t('welcome.create')}</button>
  </form>`;
}
