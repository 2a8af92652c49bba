// A stored answer's words as nodes, made when the reader comes near.
import { html, useLayoutEffect, useRef } from '../../core/dom.js';
import { draw } from '../../text/render.js';

/** At most so many milliseconds a frame go into drawing stored texts. */
const BUDGET = 6;
let frame = 0;
let spent = 0;
function mayDraw() {
  const now = performance.now();
  if (now - frame > 16) { frame = now; spent = 0; }
  return spent < BUDGET;
}

/** A stored text as nodes. They are made when the reader comes near; until then it is plain text, so that find works. */
export function Text({ text }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const element = ref.current;
    const put = () => {
      const begun = performance.now();
      element.replaceChildren(...draw(text));
      element.classList.remove('plain-text');
      spent += performance.now() - begun;
    };
    const { top, bottom } = element.getBoundingClientRect();
    if (top < innerHeight + 1_200 && bottom > -1_200 && mayDraw()) { put(); return undefined; }
    element.textContent = text;
    element.classList.add('plain-text');
    let waiting = 0;
    const soon = () => { waiting = requestAnimationFrame(() => (mayDraw() ? put() : soon())); };
    const near = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      soon();
    }, { root: document.getElementById('main'), rootMargin: '1200px' });
    near.observe(element);
    return () => { near.disconnect(); cancelAnimationFrame(waiting); };
  }, [text]);
  return html`<div class="text" ref=${ref}></div>`;
}
