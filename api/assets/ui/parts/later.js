// A part whose code is fetched when it is first shown.
import { html, useEffect, useState } from '../core/dom.js';

const known = new Map();

/** `load()` gives the component; the other properties are its own. */
export function Later({ load, ...rest }) {
  const [Part, setPart] = useState(() => known.get(load));
  useEffect(() => {
    if (Part) return;
    load().then((part) => { known.set(load, part); setPart(() => part); });
  }, [load]);
  return Part ? html`<${Part} ...${rest} />` : null;
}
