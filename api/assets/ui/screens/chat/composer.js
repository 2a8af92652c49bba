// Where one writes. What stands here is kept at every stroke, until the server has accepted it.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../../core/dom.js';
import { need, t } from '../../core/i18n.js';
import { composing } from '../../core/ime.js';
import { onKeys } from '../../core/keys.js';
import * as drafts from '../../core/drafts.js';
import { user, settings } from '../../core/store.js';
import { Later } from '../../parts/later.js';

const LIMIT = 32_000;
const attached = () => Promise.all([import('./attached.js'), need('files')]).then(([module]) => module.Attached);
const chosen = () => Promise.all([import('./images.js'), need('files')]).then(([module]) => module.Chosen);
const touch = matchMedia('(pointer: coarse)');

export function Composer({ chat, onSent }) {
  const [text, setText] = useState('');
  const [tools, setTools] = useState('auto');
  const [memory, setMemory] = useState(null);
  const [choosing, setChoosing] = useState(false);
  const [busyMode, setBusyMode] = useState('queue');
  const box = useRef(null);
  // Asked when it is written: a new chat has its name in the middle of a `send`.
  const place = () => chat.id ?? 'new';
  const answering = chat.live.value.some((one) => !one.problem && !one.done);
  const remembers = memory ?? settings.value?.memory_settings?.auto_memory_extraction ?? true;

  useEffect(() => {
    let gone = false;
    drafts.load(user.value.id, place()).then((draft) => { if (!gone && draft?.text && !box.current?.value) setText(draft.text); });
    if (!touch.matches) box.current?.focus({ preventScroll: true });
    return () => { gone = true; };
  }, [chat]);
  useEffect(() => { chat.fill = (words) => { set(words); box.current.focus(); }; });
  useLayoutEffect(() => onKeys((name) => {
    if (name !== 'Escape' || !answering || document.querySelector('dialog[open]')) return false;
    chat.cancel();
    return true;
  }), [chat, answering]);

  const set = (words) => {
    setText(words);
    drafts.save(user.value.id, place(), words ? { text: words } : null);
  };
  const sending = useRef(false);
  const send = async () => {
    const words = text.trim();
    if (!words || sending.current || [...words].length > LIMIT) return;
    const choices = { tools };
    if (memory !== null) choices.enable_memory = memory;
    if (answering && busyMode !== 'queue') choices.on_busy = busyMode;
    sending.current = true;
    const from = place();
    try {
      await chat.send(words, choices, chat.images.value);
      chat.images.value = [];
      if (from !== place()) drafts.save(user.value.id, from, null);
      // Written meanwhile: it stays.
      set(box.current.value.trim() === words ? '' : box.current.value);
      onSent();
    } finally { sending.current = false; }
  };
  const key = (event) => {
    if (event.key !== 'Enter' || event.shiftKey || composing(event) || (touch.matches && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    send();
  };
  const length = text.length > LIMIT - 2_000 ? [...text].length : 0;
  const form = useRef(null);
  // What gets the focus is scrolled to above the composer, however high it is.
  useLayoutEffect(() => {
    const main = form.current.closest('main');
    const seen = new ResizeObserver(() => { main.style.scrollPaddingBlockEnd = `${form.current.offsetHeight + 16}px`; });
    seen.observe(form.current);
    return () => { seen.disconnect(); main.style.scrollPaddingBlockEnd = ''; };
  }, []);
  return html`<form class="composer" ref=${form} onSubmit=${(event) => { event.preventDefault(); send(); }}>
    <label class="sr" for="composer">${t('composer.label')}</label>
    <textarea id="composer" ref=${box} dir="auto" rows="1" placeholder=${t('composer.placeholder')} value=${text}
      onInput=${(event) => set(event.target.value)} onKeyDown=${key} enterkeyhint=${touch.matches ? 'enter' : 'send'}></textarea>
    ${chat.images.value.length > 0 && html`<${Later} load=${chosen} chat=${chat} />`}
    <div class="row">
      <label class="pick">${t('tools')} <select value=${tools} onChange=${(event) => setTools(event.target.value)}>
        <option value="auto">${t('tools.auto')}</option><option value="none">${t('tools.none')}</option></select></label>
      <button type="button" class="plain" aria-pressed=${remembers} onClick=${() => setMemory(!remembers)}>
        ${t(remembers ? 'memory.on' : 'memory.off')}</button>
      <button type="button" class="plain" onClick=${() => setChoosing(true)}>${chat.files.value.length ? t('composer.files', { n: chat.files.value.length }) : t('files')}</button>
      ${length > 0 && html`<span class=${length > LIMIT ? 'error' : 'quiet'}>${t('composer.left', { n: LIMIT - length })}</span>`}
      <span class="grow"></span>
      ${answering && text.trim() ? html`<label class="pick"><span class="sr">${t('busy.mode')}</span>
        <select value=${busyMode} onChange=${(event) => setBusyMode(event.target.value)}>
          <option value="queue">${t('busy.queue')}</option><option value="interrupt">${t('busy.interrupt')}</option></select></label>` : null}
      ${answering && !text.trim() ? html`<button type="button" class="act stop" onClick=${() => chat.cancel()}>${t('stop')}</button>`
        : html`<button type="submit" class="act" disabled=${!text.trim() || length > LIMIT}>${t('send')}</button>`}
    </div>
  </form>${choosing && html`<${Later} load=${attached} chat=${chat} onClose=${() => setChoosing(false)} />`}`;
}
