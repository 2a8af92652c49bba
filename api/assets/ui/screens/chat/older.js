// What was said before: comes by itself when one scrolls near it, by the button otherwise. What one reads stays where it is.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { Problem } from '../../api/client.js';
import { ProblemLine } from '../../parts/problem.js';
import { drawSeen } from './text.js';

/** So far above the view the next ones are asked for. */
const AHEAD = 2_000;

/** The first message that is in the view, and where it stands; null when none is. */
function inView(main) {
  const { top, bottom } = main.getBoundingClientRect();
  for (const node of main.querySelectorAll('.message')) {
    const box = node.getBoundingClientRect();
    if (box.bottom > top && box.top < bottom) return { node, top: box.top };
  }
  return null;
}

/**
 * Where one reads, before something is put in above; gives what brings one back there. Browsers do so by themselves (scroll
 * anchoring), but not at the very top, and some nowhere.
 */
function place() {
  const main = document.getElementById('main');
  if (CSS.supports('overflow-anchor', 'auto') && main.scrollTop > 0) return null;
  const seen = inView(main);
  return seen && (() => drawSeen(main, seen.node.closest('.turn'), () => { main.scrollTop += seen.node.getBoundingClientRect().top - seen.top; }));
}

export function Older({ chat }) {
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const line = useRef(null);
  const busy = useRef(false);
  const cursor = chat.cursor.value;
  const more = async () => {
    if (busy.current) return;
    busy.current = true;
    setBusy(true);
    setProblem(null);
    try {
      await chat.older(place);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      busy.current = false;
      setBusy(false);
    }
  };
  // Watched anew for each page, so that a short one is followed by the next.
  useEffect(() => {
    const near = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) more(); },
      { root: document.getElementById('main'), rootMargin: `${AHEAD}px 0px 0px` });
    near.observe(line.current);
    return () => near.disconnect();
  }, [cursor]);
  return html`<div class="more" ref=${line}><${ProblemLine} problem=${problem} />
    <button type="button" aria-disabled=${isBusy} onClick=${more}>${t('chat.older')}</button></div>`;
}
