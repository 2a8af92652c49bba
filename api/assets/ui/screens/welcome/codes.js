// What comes by mail: the code that verifies an address, and the token that sets a new password.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { route, go } from '../../core/router.js';
import { boot } from '../../core/store.js';
import { call } from '../../api/client.js';
import { Field, byField } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { useForm } from './sign-in.js';

const Where = () => (boot.value?.mail === 'outbox' ? html`<p class="quiet">${t('mail.outbox')}</p>` : null);

export function Forgot() {
  const [email, setEmail] = useState('');
  const [sent, setSent] = useState(null);
  const { problem, busy, submit } = useForm(async () => {
    const answer = await call('POST', 'forgot', { body: { email }, anonymous: true });
    setSent(answer.message);
  });
  if (sent) {
    return html`<p role="status">${sent}</p><${Where} /><button type="button" class="act" onClick=${() => go('welcome/reset')}>${t('reset.have')}</button>`;
  }
  return html`<form onSubmit=${submit}>
    <${Field} name="email" type="email" label=${t('field.email')} value=${email} onInput=${setEmail} autocomplete="email" required />
    <${ProblemLine} problem=${problem} />
    <button type="submit" class="act" disabled=${busy}>${t('forgot.send')}</button>
  </form>`;
}

export function Reset() {
  const [email, setEmail] = useState(route.value.query.get('email') ?? '');
  const [token, setToken] = useState(route.value.query.get('token') ?? '');
  const [password, setPassword] = useState('');
  const [done, setDone] = useState(false);
  const { problem, busy, submit } = useForm(async () => {
    await call('POST', 'reset', { body: { email, token: token.trim(), new_password: password }, anonymous: true });
    setDone(true);
  });
  if (done) {
    return html`<p role="status">${t('reset.done')}</p><button type="button" class="act" onClick=${() => go('welcome/sign-in')}>${t('welcome.sign-in')}</button>`;
  }
  const errors = byField(problem);
  return html`<form onSubmit=${submit}>
    <${Field} name="email" type="email" label=${t('field.email')} value=${email} onInput=${setEmail} error=${errors.email} autocomplete="email" required />
    <${Field} name="token" label=${t('field.token')} value=${token} onInput=${setToken} error=${errors.token} autocomplete="one-time-code" required />
    <${Field} name="password" type="password" label=${t('field.password.new')} help=${t('field.password.help')} value=${password}
      onInput=${setPassword} error=${errors.new_password ?? errors.password} autocomplete="new-password" required />
    <${ProblemLine} problem=${problem} />
    <button type="submit" class="act" disabled=${busy}>${t('reset.set')}</button>
  </form>`;
}

/** Also used in the account: `email` is known there. */
export function Verify({ email: known = '', onDone }) {
  const [email, setEmail] = useState(known);
  const [otp, setOtp] = useState('');
  const [sent, setSent] = useState(false);
  const ask = useForm(async () => {
    await call('POST', 'requestOtp', { body: { email }, anonymous: true });
    setSent(true);
  });
  const check = useForm(async () => {
    await call('POST', 'verifyOtp', { body: { email, otp: otp.trim() }, anonymous: true });
    onDone?.();
  });
  if (!sent) {
    return html`<form onSubmit=${ask.submit}>
      <${Field} name="email" type="email" label=${t('field.email')} value=${email} onInput=${setEmail} autocomplete="email" required />
      <${ProblemLine} problem=${ask.problem} />
      <button type="submit" class="act" disabled=${ask.busy}>${t('verify.send')}</button>
    </form>`;
  }
  return html`<form onSubmit=${check.submit}><p role="status">${t('verify.sent')}</p><${Where} />
    <${Field} name="otp" label=${t('field.otp')} value=${otp} onInput=${setOtp} autocomplete="one-time-code" inputmode="numeric" required />
    <${ProblemLine} problem=${check.problem} />
    <button type="submit" class="act" disabled=${check.busy}>${t('verify.check')}</button>
  </form>`;
}
