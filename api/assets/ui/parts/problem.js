// What went wrong: the API's sentence, with the code and the request behind “Details”.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { sentence } from '../core/wrong.js';

export function ProblemLine({ problem, onRetry }) {
  // What passes within a minute is waited for; a budget that comes back tomorrow is only said.
  const wait = problem?.retryAfter <= 60 ? problem.retryAfter : 0;
  const [left, setLeft] = useState(wait);
  useEffect(() => {
    setLeft(wait);
    if (!wait || !onRetry) return undefined;
    const until = Date.now() + wait * 1000;
    const timer = setInterval(() => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      setLeft(Math.max(0, seconds));
      if (seconds <= 0) { clearInterval(timer); onRetry(); }
    }, 1000);
    return () => clearInterval(timer);
  }, [problem]);
  if (!problem) return null;
  const text = problem.offline ? t('problem.offline') : sentence(problem) || t('problem.unknown');
  return html`<div class="problem" role="alert">
    <p>${text}${left > 0 && onRetry ? ` ${t('problem.again', { n: left })}` : ''}</p>
    ${onRetry && html`<button type="button" onClick=${onRetry}>${t('try.again')}</button>`}
    ${!problem.offline && html`<details><summary>${t('details')}</summary>
      <code>${problem.status} ${problem.code}${problem.request_id ? ` · ${problem.request_id}` : ''}</code></details>`}
  </div>`;
}
