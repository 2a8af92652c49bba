// Lines that say what was done, each with its way back.
import { html, signal } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { say } from '../core/store.js';

/** The newest last; each goes at its own time. */
const shown = signal([]);
/** More than so many would cover what one works on. */
const MOST = 3;
let count = 0;

const close = (one) => {
  clearTimeout(one.timer);
  shown.value = shown.value.filter((other) => other !== one);
};

/**
 * @param {string} text
 * @param {{action?: string, onAction?: () => void, millis?: number}} options
 */
export function toast(text, { action, onAction, millis = 6_000 } = {}) {
  const one = /** @type {any} */ ({ key: (count += 1), text, action, onAction });
  one.timer = setTimeout(() => close(one), millis);
  shown.value = [...shown.value, one];
  // One that only says something gives way before one that offers a way back.
  if (shown.value.length > MOST) close(shown.value.find((other) => !other.action) ?? shown.value[0]);
  say(text);
}

export function Toasts() {
  if (!shown.value.length) return null;
  return html`<div class="toasts" role="region" aria-label=${t('notice')}>${shown.value.map((one) => html`<div class="toast" key=${one.key}><span>${one.text}</span>
    ${one.action && html`<button type="button" onClick=${() => { close(one); one.onAction(); }}>${one.action}</button>`}
    <button type="button" class="plain" onClick=${() => close(one)}>${t('close')}</button></div>`)}</div>`;
}

/**
 * Does something after ten seconds unless it is undone meanwhile; at once when the page is left (with `keepalive`).
 * `act(leaving)` does it.
 */
export function later(text, act, undo) {
  let done = false;
  const go = (leaving) => {
    if (done) return;
    done = true;
    removeEventListener('pagehide', leave);
    clearTimeout(wait);
    act(leaving);
  };
  const leave = () => go(true);
  addEventListener('pagehide', leave);
  const wait = setTimeout(() => go(false), 10_000);
  toast(text, {
    action: t('undo'),
    millis: 10_000,
    onAction: () => { done = true; clearTimeout(wait); removeEventListener('pagehide', leave); undo(); },
  });
}
