// A line that says what was done, with the way back.
import { html, signal } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { say } from '../core/store.js';

const shown = signal(null);
let timer;

export function toast(text, { action, onAction, millis = 6_000 } = {}) {
  clearTimeout(timer);
  shown.value = { text, action, onAction };
  say(text);
  timer = setTimeout(() => { shown.value = null; }, millis);
}

export function Toast() {
  const { value } = shown;
  if (!value) return null;
  const act = () => { shown.value = null; value.onAction(); };
  return html`<div class="toast" role="region" aria-label=${t('notice')}><span>${value.text}</span>
    ${value.action && html`<button type="button" onClick=${act}>${value.action}</button>`}
    <button type="button" class="plain" onClick=${() => { shown.value = null; }}>${t('close')}</button></div>`;
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
