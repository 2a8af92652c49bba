// Signing out here, from a shared computer, or everywhere; closing the account; deleting it with all it holds.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import * as drafts from '../../core/drafts.js';
import { go } from '../../core/router.js';
import { leave } from '../../core/session.js';
import { signInNeeded, user } from '../../core/store.js';
import * as auth from '../../api/auth.js';
import { post, Problem, remove } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Field } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { useForm } from '../welcome/sign-in.js';
import { errorsOf } from './wrong.js';

function close() {
  go('welcome', { replace: true });
  leave();
  // A request that came too late may have asked for it.
  signInNeeded.value = false;
}

/** The account's own sign-in is over: nothing is left on this page. */
async function away({ everywhere = false, forgetting = false } = {}) {
  try { await auth.signOut(everywhere); } catch { throw new Problem({ status: 0, code: 'offline', offline: true, detail: '' }); }
  if (forgetting) await drafts.forget();
  close();
}

export function SignOut() {
  const [problem, setProblem] = useState(null);
  const out = (how) => async () => {
    setProblem(null);
    try { await away(how); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const way = (name, how) => html`<li><button type="button" onClick=${out(how)}>${t(`out.${name}`)}</button><p class="quiet">${t(`out.${name}.text`)}</p></li>`;
  return html`<section class="card"><h2>${t('out.title')}</h2><${ProblemLine} problem=${problem} />
    <ul class="ways-out">${way('here')}${way('shared', { forgetting: true })}${way('everywhere', { everywhere: true })}</ul></section>`;
}

/** Asks for the password, then does what cannot be taken back here. */
function Ask({ kind, children, onClose }) {
  const [password, setPassword] = useState('');
  const { problem, busy, submit } = useForm(async () => {
    if (kind === 'delete') await remove('me', {}, { password });
    else await post('deactivate', {}, { password });
    await drafts.forget();
    auth.dropped();
    close();
  });
  const errors = errorsOf(problem, 'password');
  return html`<${Dialog} title=${t(`end.${kind}`)} onClose=${onClose}><form onSubmit=${submit}>${children}
    <input type="text" name="account" autocomplete="username" value=${user.value?.username ?? user.value?.email ?? ''} readonly hidden />
    <${Field} name="end-password" type="password" label=${t('field.password.old')} value=${password} onInput=${setPassword} error=${errors.password} autocomplete="current-password" required />
    <${ProblemLine} problem=${errors.password ? null : problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="submit" class="bad" disabled=${busy}>${t(`end.${kind}.verb`)}</button></div></form><//>`;
}

export function End() {
  const [asking, setAsking] = useState(null);
  const back = () => setAsking(null);
  return html`<section class="card"><h2>${t('end.title')}</h2>
    <ul class="ways-out"><li><button type="button" onClick=${() => setAsking('deactivate')}>${t('end.deactivate.verb')}</button><p class="quiet">${t('end.deactivate.text')}</p></li>
      <li><button type="button" class="danger" onClick=${() => setAsking('delete')}>${t('end.delete.verb')}</button><p class="quiet">${t('end.delete.short')}</p></li></ul>
    ${asking === 'deactivate' && html`<${Ask} kind="deactivate" onClose=${back}><p>${t('end.deactivate.text')}</p><//>`}
    ${asking === 'delete' && html`<${Ask} kind="delete" onClose=${back}><p><strong>${t('end.delete.text')}</strong></p><p>${t('end.delete.goes')}</p>
      <ul>${['chats', 'memories', 'projects', 'keys', 'files'].map((one) => html`<li key=${one}>${t(`end.delete.${one}`)}</li>`)}</ul><p class="quiet">${t('end.delete.export')}</p><//>`}</section>`;
}
