// First run, sign in, sign up, verify, forgot, reset: one card that changes.
import { html, useState } from '../../core/dom.js';
import { choose, language, LANGUAGES, t } from '../../core/i18n.js';
import { route, go } from '../../core/router.js';
import { boot, signInNeeded, user } from '../../core/store.js';
import { Dialog } from '../../parts/dialog.js';
import { start } from '../../core/session.js';
import { SignIn } from './sign-in.js';
import { SignUp } from './sign-up.js';
import { Forgot, Reset, Verify } from './codes.js';

const FORMS = { 'sign-in': SignIn, 'sign-up': SignUp, forgot: Forgot, reset: Reset, verify: Verify };

export function Welcome({ onDone }) {
  const first = !boot.value.has_accounts;
  const named = route.value.parts[0] === 'welcome' ? route.value.parts[1] : null;
  const which = named in FORMS ? named : first ? 'sign-up' : 'sign-in';
  const Form = FORMS[which];
  // Where somebody was going when they were asked to sign in: a program may have sent them.
  const [wanted] = useState(() => (route.value.parts[0] === 'welcome' ? '' : location.hash.replace(/^#\/?/, '')));
  const done = () => { if (route.value.parts[0] === 'welcome') go(wanted || 'chat', { replace: true }); return onDone(); };
  return html`<main class="welcome">
    <div class="brand"><svg width="24" height="14" aria-hidden="true"><line x1="1" y1="3" x2="23" y2="3" class="ink" />
      <line x1="1" y1="11" x2="23" y2="11" class="stitch" /></svg>Rapport</div>
    <div class="card">
      <h1>${t(first && which === 'sign-up' ? 'welcome.first' : `welcome.${which}`)}</h1>
      ${first && which === 'sign-up' ? html`<p class="quiet">${t('welcome.first.text')}</p>` : null}
      <${Form} key=${which} onDone=${done} />
      <p class="ways">
        ${which !== 'sign-in' && !first ? html`<a href="#/welcome/sign-in">${t('welcome.sign-in')}</a>` : null}
        ${which === 'sign-in' ? html`<a href="#/welcome/sign-up">${t('welcome.sign-up')}</a> <a href="#/welcome/forgot">${t('welcome.forgot')}</a>` : null}
      </p>
    </div>
    <label class="language">${t('language')} <select value=${language.value} onChange=${(event) => choose(event.target.value)}>
      ${Object.entries(LANGUAGES).map(([code, name]) => html`<option key=${code} value=${code} lang=${code}>${name}</option>`)}
    </select></label>
  </main>`;
}

/** Over the page: the session ended while somebody was working. What they wrote stays, and goes on after. */
export function SignInAgain() {
  const [name] = useState(user.value?.username ?? user.value?.email ?? '');
  const done = () => { signInNeeded.value = false; start(); };
  return html`<${Dialog} title=${t('signin.again')} fixed onClose=${() => {}}>
    <p>${t('signin.again.text')}</p>
    <${SignIn} name=${name} onDone=${done} />
  <//>`;
}
