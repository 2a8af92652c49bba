// Images that come with messages: those that are chosen for the next one, and those that came with what was said.
import { html, useEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { raw } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';

/** A file's bytes as an address of this page: the API wants to know who asks, and `img` does not say. */
function useBytes(id) {
  const [url, setUrl] = useState('');
  useEffect(() => {
    const stop = new AbortController();
    let made = '';
    const fetched = async () => {
      const response = await raw('GET', 'fileContent', { places: { id }, signal: stop.signal });
      const bytes = response.ok ? await response.blob() : null;
      if (!bytes || stop.signal.aborted) return;
      made = URL.createObjectURL(bytes);
      setUrl(made);
    };
    // Without it there is still the name.
    fetched().catch(() => {});
    return () => { stop.abort(); if (made) URL.revokeObjectURL(made); };
  }, [id]);
  return url;
}

function Picture({ image }) {
  const [open, setOpen] = useState(false);
  const url = useBytes(image.file_id);
  return html`<li><button type="button" class="picture" aria-label=${t('images.open', { name: image.name })} onClick=${() => setOpen(true)}>
    ${url ? html`<img src=${url} alt="" />` : html`<span dir="auto">${image.name}</span>`}</button>
    ${open && html`<${Dialog} title=${image.name} wide onClose=${() => setOpen(false)}><img class="whole" src=${url} alt=${image.name} /><//>`}</li>`;
}

/** What came with a message. One that was deleted has no name any more. */
export function Pictures({ images }) {
  return html`<ul>${images.map((image) => (image.name === null ? html`<li key=${image.file_id} class="picture quiet">${t('images.gone')}</li>`
    : html`<${Picture} key=${image.file_id} image=${image} />`))}</ul>`;
}

/** What goes with the next message; a click takes one away. */
export function Chosen({ chat }) {
  const drop = (id) => { chat.images.value = chat.images.value.filter((one) => one.id !== id); };
  return html`<div class="row chosen">${chat.images.value.map(({ id, name }) => html`<button key=${id} type="button" class="chip" dir="auto"
    aria-label=${t('images.drop', { name })} onClick=${() => drop(id)}>${name} <span aria-hidden="true">×</span></button>`)}</div>`;
}
