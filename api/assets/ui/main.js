// Starts the pages: look, language, who is signed in; then the welcome screen or the shell.
import { html, render, effect } from './core/dom.js';
import { remembered, speak, t } from './core/i18n.js';
import * as theme from './core/theme.js';
import { sentence } from './core/wrong.js';
import { failed, start } from './core/session.js';
import { boot, pending, signInNeeded, user } from './core/store.js';
import { Shell } from './screens/shell/index.js';
import { Later } from './parts/later.js';
import { ProblemLine } from './parts/problem.js';
import { toast } from './parts/toast.js';
import { Problem } from './api/client.js';

const welcome = () => import('./screens/welcome/index.js').then((module) => module.Welcome);
const again = () => import('./screens/welcome/index.js').then((module) => module.SignInAgain);

/** Before the first answer, or without one. */
function Alone() {
  return html`<main class="alone"><h1>Rapport</h1>
    ${failed.value ? html`<${ProblemLine} problem=${failed.value} onRetry=${start} />` : html`<p class="quiet" role="status">${t('loading')}</p>`}</main>`;
}

function App() {
  if (failed.value || !boot.value) return html`<${Alone} />`;
  if (!user.value) return html`<${Later} load=${welcome} onDone=${start} />`;
  return html`<${Shell} />${signInNeeded.value && html`<${Later} load=${again} />`}`;
}

// The one place that makes an address a script may be run from: our own workers.
globalThis.trustedTypes?.createPolicy('rapport', {
  createScriptURL: (url) => { if (new URL(url, location.href).origin === location.origin) return url; throw new TypeError(url); },
});
// What failed, and is told nowhere else.
addEventListener('unhandledrejection', (event) => {
  const { reason } = event;
  if (!(reason instanceof Problem)) return;
  event.preventDefault();
  toast(reason.offline ? t('problem.offline') : sentence(reason) || t('problem.unknown'));
});
theme.show(theme.theme.value);
effect(() => { document.title = `Rapport${pending.value ? ` (${pending.value})` : ''}`; });
await speak(remembered());
render(html`<${App} />`, document.getElementById('app'));
start();
