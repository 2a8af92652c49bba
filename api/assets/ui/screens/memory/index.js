// What is remembered: to review, in conflict, all of it, one of it.
import { html, useEffect } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import { route } from '../../core/router.js';
import { conflicts, heading, pending } from '../../core/store.js';
import { Review } from './review.js';
import { Conflicts } from './conflicts.js';
import { All } from './all.js';
import { One } from './one.js';
import { Duplicates } from './duplicates.js';
import { Readings } from './readings.js';
import { Graph } from './graph.js';

const TABS = { review: Review, conflicts: Conflicts, all: All, duplicates: Duplicates, graph: Graph, readings: Readings };

export function Screen() {
  const which = route.value.parts[1] ?? 'review';
  const Tab = TABS[which];
  useEffect(() => {
    heading.value = { title: t('memory'), actions: which === 'review' && html`<span class="chip keys-hint">${t('review.keys')}</span>` };
  }, [which]);
  const counts = { review: pending.value, conflicts: conflicts.value };
  return html`<div class="page memory"><link rel="stylesheet" href=${new URL('../../style/memory.css', import.meta.url).href} />
    <nav class="tabs" aria-label=${t('memory')}>${Object.keys(TABS).map((name) => html`<a key=${name} href=${`#/memory/${name}`}
      aria-current=${name === which ? 'page' : undefined}>${t(`memory.${name}`)}${counts[name] ? ` ${number(counts[name])}` : ''}</a>`)}</nav>
    ${Tab ? html`<${Tab} />` : html`<${One} key=${which} id=${which} />`}</div>`;
}
