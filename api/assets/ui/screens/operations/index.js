// The service as an admin sees it: one tab for each thing that can go wrong.
import { html, useEffect } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { route } from '../../core/router.js';
import { heading, user } from '../../core/store.js';
import { Later } from '../../parts/later.js';

/** Each is fetched when it is first opened. */
const TABS = {
  queues: () => import('./queues.js').then((module) => module.Queues),
  dead: () => import('./dead.js').then((module) => module.Dead),
  workers: () => import('./workers.js').then((module) => module.Workers),
  providers: () => import('./providers.js').then((module) => module.Providers),
  people: () => import('./people.js').then((module) => module.People),
  audit: () => import('./audit.js').then((module) => module.Audit),
};

export function Screen() {
  const asked = route.value.parts[1] ?? 'queues';
  const which = asked in TABS ? asked : 'queues';
  useEffect(() => { heading.value = { title: t('operations'), actions: null }; }, []);
  const sheet = html`<link rel="stylesheet" href=${new URL('../../style/work.css', import.meta.url).href} />`;
  if (user.value?.role !== 'admin') return html`<div class="page">${sheet}<p>${t('ops.admins')}</p></div>`;
  return html`<div class="page operations">${sheet}
    <nav class="tabs" aria-label=${t('operations')}>${Object.keys(TABS).map((name) => html`<a key=${name} href=${`#/operations/${name}`}
      aria-current=${name === which ? 'page' : undefined}>${t(`ops.${name}`)}</a>`)}</nav>
    <h2>${t(`ops.${which}`)}</h2>
    <${Later} key=${which} load=${TABS[which]} /></div>`;
}
