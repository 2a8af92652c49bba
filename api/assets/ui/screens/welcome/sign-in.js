// Sign in by name or address and password.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { call } from '../../api/client.js';
import * as auth from '../../api/auth.js';
import { Field } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { device } from './device.js';

/** A form that is sent once at a time and shows what was wrong. */
export function useForm(act) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try { await act(); } catch (error) {
      if (!('status' in error)) throw error;
      setProblem(error);
      requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector('[aria-invalid=true]'))?.focus());
    } finally { setBusy(false); }
  };
  return { problem, busy, submit };
}

export function SignIn({ name = '', onDone }) {
  const [username, setName] = useState(name);
  const [password, setPassword] = useState('');
  const { problem, busy, submit } = useForm(async () => {
    const body = { username, password, device_token: device() ?? undefined };
    const answer = await call('POST', 'login', { body, anonymous: true, headers: auth.sessionHeader });
    device(answer.device_token);
    auth.signedIn(answer);
    await onDone();
  });
  return html`<form onSubmit=${submit}>
    <${Field} name="username" label=${t('field.login')} value=${username} onInput=${setName} autocomplete="username" required autocapitalize="none" />
    <${Field} name="password" type="password" label=${t('field.password')} value=${password} onInput=${setPassword} autocomplete="current-password" required />
    <${ProblemLine} problem=${problem} />
    <button type="submit" class="act" disabled=${busy}>${t('welcome.sign-in')}</button>
  </form>`;
}
