// “2 of 3”: the answers there were to a question. The one that is left on show is the one the server keeps.
import { html, useEffect, useLayoutEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { get, post } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { onKeys } from '../../core/keys.js';
import { Text } from './text.js';

export function Variants({ message, chat, onShow }) {
  const [others, setOthers] = useState(null);
  const [at, setAt] = useState(message.variants);
  const [both, setBoth] = useState(false);
  const count = message.variants + 1;
  const all = async () => {
    if (others) return others;
    const { items } = await get('variants', { id: message.id });
    setOthers(items);
    return items;
  };
  const show = async (place) => {
    if (place < 0 || place >= count) return;
    const items = await all();
    setAt(place);
    onShow(place === count - 1 ? null : items[place]);
  };
  const keep = async () => {
    await post('useVariant', { id: message.id, variant: others[at].id });
    onShow(null);
    await chat.reload();
  };
  useLayoutEffect(() => onKeys((name) => {
    if (!['Alt+ArrowLeft', 'Alt+ArrowRight'].includes(name) || !document.activeElement.closest?.(`#${CSS.escape(message.id)}`)) return false;
    show(at + (name === 'Alt+ArrowLeft' ? -1 : 1));
    return true;
  }), [at, others]);
  return html`<span class="variants">
    <button type="button" class="plain" aria-label=${t('variant.before')} disabled=${at === 0} onClick=${() => show(at - 1)}>‹</button>
    <span>${t('variant.of', { n: at + 1, m: count })}</span>
    <button type="button" class="plain" aria-label=${t('variant.after')} disabled=${at === count - 1} onClick=${() => show(at + 1)}>›</button>
    ${at !== count - 1 && html`<button type="button" class="plain" onClick=${keep}>${t('variant.use')}</button>`}
    <button type="button" class="plain" onClick=${async () => { await all(); setBoth(true); }}>${t('variant.compare')}</button>
    ${both && others && html`<${Dialog} wide title=${t('variant.compare')} onClose=${() => setBoth(false)}>
      <div class="side-by-side">${[...others, message].map((one, place) => html`<section key=${one.id}>
        <h3>${t('variant.of', { n: place + 1, m: count })}</h3><p class="quiet">${one.model}</p><${Text} text=${one.content} /></section>`)}</div><//>`}
  </span>`;
}
