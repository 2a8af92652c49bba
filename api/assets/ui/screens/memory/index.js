// What is remembered: to review, in conflict, all of it, one of it.
import { html, useEffect } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import { route } from '../../core/router.js';
import { conflicts, heading, pending } from '../../core/store.js';
import { Later } from '../../parts/later.js';

/** Each is fetched when it is first opened. */
const TABS = {
  review: () => import('./review.js').then((module) => module.Review),
  conflicts: () => import('./conflicts.js').then((module) => module.Conflicts),
  all: () => import('./all.js').then((module) => module.All),
  duplicates: () => import('./duplicates.js').then((module) => module.Duplicates),
  graph: () => import('./graph.js').then((module) => module.Graph),
  readings: () => import('./readings.js').then((module) => module.Readings),
};

const one = () => import('./one.js').then((module) => module.One);

export function Screen() {
  const which = route.value.parts[1] ?? 'review';
  useEffect(() => {
    heading.value = { title: t('memory'), actions: which === 'review' && html`<span class="chip keys-hint">${t('review.keys')}</span>` };
  }, [which]);
  const counts = { review: pending.value, conflicts: conflicts.value };
  return html`<div class="page memory"><link rel="stylesheet" href=${new URL('../../style/memory.css', import.meta.url).href} />
    <nav class="tabs" aria-label=${t('memory')}>${Object.keys(TABS).map((name) => html`<a key=${name} href=${`#/memory/${name}`}
      aria-current=${name === which ? 'page' : undefined}>${t(`memory.${name}`)}${counts[name] ? ` ${number(counts[name])}` : ''}</a>`)}</nav>
    ${which in TABS ? html`<${Later} key=${which} load=${TABS[which]} />` : html`<${Later} key=${which} load=${one} id=${which} />`}</div>`;
}
