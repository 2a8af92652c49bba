// Starts the pages: look, language, who is signed in; then the welcome screen or the shell.
import { html, render, effect } from './core/dom.js';
import { remembered, speak, t } from './core/i18n.js';
import * as theme from './core/theme.js';
import { failed, start } from './core/session.js';
import { boot, pending, signInNeeded, user } from './core/store.js';
import { Shell } from './screens/shell/index.js';
import { Later } from './parts/later.js';
import { ProblemLine } from './parts/problem.js';

const welcome = () => import('./screens/welcome/index.js').then((module) => module.Welcome);
const again = () => import('./screens/welcome/index.js').then((module) => module.SignInAgain);

function App() {
  if (failed.value) return html`<div class="alone"><${ProblemLine} problem=${failed.value} onRetry=${start} /></div>`;
  if (!boot.value) return html`<p class="alone quiet" role="status">${t('loading')}</p>`;
  if (!user.value) return html`<${Later} load=${welcome} onDone=${start} />`;
  return html`<${Shell} />${signInNeeded.value && html`<${Later} load=${again} />`}`;
}

// The one place that makes an address a script may be run from: our own workers.
globalThis.trustedTypes?.createPolicy('rapport', {
  createScriptURL: (url) => { if (new URL(url, location.href).origin === location.origin) return url; throw new TypeError(url); },
});
theme.show(theme.theme.value);
effect(() => { document.title = `Rapport${pending.value ? ` (${pending.value})` : ''}`; });
await speak(remembered());
render(html`<${App} />`, document.getElementById('app'));
start();
