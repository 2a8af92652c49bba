// What was remembered for an answer, each with the words it came from. In the margin, or folded below on narrow screens.
import { html, useEffect, useState } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { day } from '../../core/time.js';
import { href } from '../../core/router.js';
import { get, post } from '../../api/client.js';
import { toast } from '../../parts/toast.js';

const known = new Map();
const wide = matchMedia('(min-width: 1200px)');

function One({ used }) {
  const [memory, setMemory] = useState(known.get(used.id) ?? null);
  const [gone, setGone] = useState(false);
  useEffect(() => {
    if (memory) return;
    get('memory', { id: used.id }).then((found) => { known.set(used.id, found); setMemory(found); }, () => {});
  }, [used.id]);
  if (gone) return html`<li><p class="quiet">${t('forgotten')}</p></li>`;
  const reject = async () => {
    await post('verify', { id: used.id }, { action: 'reject' });
    known.delete(used.id);
    setGone(true);
    toast(t('forgotten'));
  };
  const quote = memory?.source?.quote ?? used.quote;
  return html`<li><h2 dir="auto">${memory?.content ?? used.content}</h2>
    ${quote && html`<blockquote dir="auto">“${quote}”</blockquote>`}
    <p class="quiet">${memory ? `${day(memory.source?.extracted_at ?? memory.created_at)} · ${word('status', memory.status)}` : ''}</p>
    <p class="ways"><a href=${href('memory', used.id)}>${t('open')}</a> <button type="button" class="plain" onClick=${reject}>${t('not.true')}</button></p></li>`;
}

export function Remembered({ memories }) {
  const [open, setOpen] = useState(wide.matches);
  useEffect(() => {
    const look = () => setOpen(wide.matches);
    wide.addEventListener('change', look);
    return () => wide.removeEventListener('change', look);
  }, []);
  if (!memories?.length) return null;
  return html`<aside class="remembered" aria-label=${t('remembered.for')}>
    <details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary>${t('remembered.count', { n: memories.length })}</summary>
      ${open && html`<ul>${memories.map((used) => html`<${One} key=${used.id} used=${used} />`)}</ul>`}
    </details></aside>`;
}
