// The side bar: new chat, search, places, and the chats by day.
import { html, useState } from '../../core/dom.js';
import { t, number } from '../../core/i18n.js';
import { age } from '../../core/time.js';
import { chats, pending, user } from '../../core/store.js';
import { route, href, go } from '../../core/router.js';
import { composing } from '../../core/ime.js';

const here = (...parts) => {
  const now = route.value.parts;
  return parts.every((part, at) => now[at] === part) ? 'page' : undefined;
};

export function Place({ to, label, badge, onGo }) {
  return html`<a href=${href(...to)} aria-current=${here(to[0])} onClick=${onGo}>${label}
    ${badge ? html`<span class="badge"><span aria-hidden="true">${number(badge)}</span>
      <span class="sr">${t('badge.review', { n: badge })}</span></span>` : null}</a>`;
}

function Group({ label, items, onGo }) {
  if (!items.length) return null;
  return html`<section><h3>${label}</h3><ul>${items.map((chat) => html`<li key=${chat.id}>
    <a href=${href('chat', chat.id)} dir="auto" aria-current=${here('chat', chat.id)} onClick=${onGo}>${chat.title || t('chat.untitled')}</a>
  </li>`)}</ul></section>`;
}

export function Side({ onGo }) {
  const [query, setQuery] = useState('');
  const pinned = chats.value.filter((chat) => chat.is_pinned);
  const others = chats.value.filter((chat) => !chat.is_pinned);
  const of = (when) => others.filter((chat) => age(chat.updated_at) === when);
  const search = (event) => {
    if (event.key !== 'Enter' || composing(event)) return;
    go(`chats?q=${encodeURIComponent(query)}`);
    onGo?.();
  };
  return html`<nav class="side" aria-label=${t('places')}>
    <a class="brand" href="#/chat" onClick=${onGo}><svg width="24" height="14" aria-hidden="true"><line x1="1" y1="3" x2="23" y2="3" class="ink" />
      <line x1="1" y1="11" x2="23" y2="11" class="stitch" /></svg>Rapport</a>
    <a class="new" href="#/chat" onClick=${onGo}>${t('chat.new')}<kbd aria-hidden="true">Ctrl ⇧ O</kbd></a>
    <input type="search" id="side-search" dir="auto" placeholder=${t('chats.search')} aria-label=${t('chats.search')}
      value=${query} onInput=${(event) => setQuery(event.target.value)} onKeyDown=${search} />
    <div class="places">
      <${Place} to=${['memory', 'review']} label=${t('memory')} badge=${pending.value} onGo=${onGo} />
      <${Place} to=${['projects']} label=${t('projects')} onGo=${onGo} />
      <${Place} to=${['files']} label=${t('files')} onGo=${onGo} />
      <${Place} to=${['usage']} label=${t('usage')} onGo=${onGo} />
      <${Place} to=${['chats']} label=${t('chats.all')} onGo=${onGo} />
    </div>
    <div class="chats">
      <${Group} label=${t('chats.pinned')} items=${pinned} onGo=${onGo} />
      ${['today', 'yesterday', 'week', 'month', 'earlier'].map((when) => html`
        <${Group} key=${when} label=${t(`when.${when}`)} items=${of(when)} onGo=${onGo} />`)}
    </div>
    <div class="foot">
      ${user.value?.role === 'admin' && html`<${Place} to=${['operations', 'queues']} label=${t('operations')} onGo=${onGo} />`}
      <${Place} to=${['keys']} label=${t('keys')} onGo=${onGo} />
      <${Place} to=${['webhooks']} label=${t('webhooks')} onGo=${onGo} />
      <${Place} to=${['settings']} label=${t('settings')} onGo=${onGo} />
      <${Place} to=${['account']} label=${user.value?.name || user.value?.username || user.value?.email || t('account')} onGo=${onGo} />
    </div>
  </nav>`;
}
