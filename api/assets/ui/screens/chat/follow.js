// “New words”: follows the end of a growing answer on demand, until the reader moves. We never start it again.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';

export function Follow({ chat }) {
  const [below, setBelow] = useState(false);
  const following = useRef(false);
  const growing = chat.live.value.some((one) => !one.done && !one.problem);
  useEffect(() => {
    if (!growing) { setBelow(false); following.current = false; return undefined; }
    const main = document.getElementById('main');
    const end = () => main.querySelector('.live-end')?.getBoundingClientRect().bottom ?? 0;
    let frame;
    const look = () => {
      const composer = main.querySelector('.composer');
      // The chat was left: an effect ends only after the next frame.
      if (!composer) return;
      const over = end() - composer.getBoundingClientRect().top;
      if (following.current && over > 0) main.scrollTop += over;
      setBelow(!following.current && over > 24);
      frame = requestAnimationFrame(look);
    };
    frame = requestAnimationFrame(look);
    const leave = () => { following.current = false; };
    const events = ['wheel', 'touchmove', 'keydown', 'selectstart', 'pointerdown'];
    for (const name of events) main.addEventListener(name, leave, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      for (const name of events) main.removeEventListener(name, leave);
    };
  }, [growing]);
  if (!below) return null;
  const start = (event) => { event.stopPropagation(); following.current = true; setBelow(false); };
  return html`<p class="follow"><button type="button" onPointerDown=${(event) => event.stopPropagation()} onClick=${start}>↓ ${t('chat.new.words')}</button></p>`;
}
