// The service as an admin sees it: one tab for each thing that can go wrong.
import { html, useEffect } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { route } from '../../core/router.js';
import { heading, user } from '../../core/store.js';
import { Queues } from './queues.js';
import { Dead } from './dead.js';
import { Workers } from './workers.js';
import { Providers } from './providers.js';
import { People } from './people.js';
import { Audit } from './audit.js';

const TABS = { queues: Queues, dead: Dead, workers: Workers, providers: Providers, people: People, audit: Audit };

export function Screen() {
  const asked = route.value.parts[1] ?? 'queues';
  const which = asked in TABS ? asked : 'queues';
  useEffect(() => { heading.value = { title: t('operations'), actions: null }; }, []);
  const sheet = html`<link rel="stylesheet" href=${new URL('../../style/work.css', import.meta.url).href} />`;
  if (user.value?.role !== 'admin') return html`<div class="page">${sheet}<p>${t('ops.admins')}</p></div>`;
  const Tab = TABS[which];
  return html`<div class="page operations">${sheet}
    <nav class="tabs" aria-label=${t('operations')}>${Object.keys(TABS).map((name) => html`<a key=${name} href=${`#/operations/${name}`}
      aria-current=${name === which ? 'page' : undefined}>${t(`ops.${name}`)}</a>`)}</nav>
    <h2>${t(`ops.${which}`)}</h2>
    <${Tab} key=${which} /></div>`;
}
