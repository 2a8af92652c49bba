// A stored answer's words as nodes, made when the reader comes near.
import { html, useLayoutEffect, useRef } from '../../core/dom.js';
import { draw } from '../../text/render.js';

/** How near, in pixels. */
const NEAR = 1_200;
/** At most so many milliseconds a frame go into drawing stored texts. */
const BUDGET = 6;
let frame = 0;
let spent = 0;
function mayDraw() {
  const now = performance.now();
  if (now - frame > 16) { frame = now; spent = 0; }
  return spent < BUDGET;
}

/** What is still plain, with what draws it. */
const plain = new Map();

/** The turn before one, which may be the last of the sheet before. */
function turnBefore(turn) {
  const before = turn.previousElementSibling ?? turn.parentElement.previousElementSibling?.lastElementChild;
  return before?.classList.contains('turn') ? before : null;
}

/**
 * Draws at once what of this turn and those before it is in the view; `hold` keeps the view where it should be. Until then the
 * browser has not laid them out: it would do so after the next frame, and what is read would move.
 */
export function drawSeen(main, turn, hold) {
  const view = main.getBoundingClientRect();
  for (let at = turn; at; at = turnBefore(at)) {
    hold();
    if (at.getBoundingClientRect().bottom < view.top) break;
    for (const box of [at, at.parentElement]) box.style.contentVisibility = 'visible';
    for (const node of at.querySelectorAll('.plain-text')) plain.get(node)?.();
  }
  hold();
}

/**
 * A stored text as nodes. They are made when the reader comes near; until then it is plain text, so that find works.
 * `wait`: it is not known yet where it will stand.
 */
export function Text({ text, wait = false }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const element = ref.current;
    let waiting = 0;
    let near = null;
    const leave = () => { plain.delete(element); near?.disconnect(); cancelAnimationFrame(waiting); };
    const put = () => {
      const begun = performance.now();
      leave();
      element.replaceChildren(...draw(text));
      element.classList.remove('plain-text');
      spent += performance.now() - begun;
    };
    if (!wait) {
      const { top, bottom } = element.getBoundingClientRect();
      if (top < innerHeight + NEAR && bottom > -NEAR && mayDraw()) { put(); return undefined; }
    }
    element.textContent = text;
    element.classList.add('plain-text');
    plain.set(element, put);
    const soon = () => { waiting = requestAnimationFrame(() => (mayDraw() ? put() : soon())); };
    near = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      soon();
    }, { root: element.closest('main'), rootMargin: `${NEAR}px` });
    // Its turn: what is inside one that is not laid out is never near.
    near.observe(element.closest('.turn') ?? element);
    return leave;
  }, [text]);
  return html`<div class="text" ref=${ref}></div>`;
}
