// A part whose code is fetched when it is first shown. After an upgrade it may be gone: then the page asks to be loaded again.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';

const known = new Map();

/** `load()` gives the component; the other properties are its own. */
export function Later({ load, ...rest }) {
  const [Part, setPart] = useState(() => known.get(load));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (Part) return;
    load().then((part) => { known.set(load, part); setPart(() => part); }, (error) => { console.warn('not fetched', error.message); setFailed(true); });
  }, [load]);
  if (Part) return html`<${Part} ...${rest} />`;
  if (!failed) return null;
  return html`<div class="problem" role="alert"><p>${t('part.failed')}</p>
    <button type="button" onClick=${() => location.reload()}>${t('reload')}</button></div>`;
}
