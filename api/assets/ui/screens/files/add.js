// Files on their way: what is sent, and what was wrong with some.
import { html, useRef, useState } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import { sentence } from '../../core/wrong.js';
import { sendAll } from './send.js';

/** Gives {add, shown}: sends files and tells `onDone` of those that came; `shown` says what is under way. */
export function useSending(onDone) {
  const [state, setState] = useState(null);
  const [wrong, setWrong] = useState([]);
  const queue = useRef(Promise.resolve());
  // One after the other, also when more are chosen meanwhile.
  const add = (files) => {
    queue.current = queue.current.catch(() => {}).then(async () => {
      const sent = await sendAll(files, setState);
      setWrong(sent.wrong);
      if (sent.done.length) await onDone(sent.done);
    });
    return queue.current;
  };
  const shown = html`<div role="status">${state && html`<p class="quiet" dir="auto">${t('files.sending', { name: state.name })}
      ${state.share > 0 && number(state.share, { style: 'percent' })}</p>`}</div>
    ${wrong.length > 0 && html`<ul class="plain-list" role="alert">${wrong.map(({ name, problem }, at) => html`<li key=${at} class="error"><strong dir="auto">${name}</strong> ${sentence(problem)}</li>`)}</ul>`}`;
  return { add, shown };
}
