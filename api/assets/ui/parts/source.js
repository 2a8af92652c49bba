// The words a memory came from, marked in their message, with a sentence either side.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { moment } from '../core/time.js';
import { get } from '../api/client.js';
import { locate, nearby } from '../text/quote.js';
import { script } from '../text/render.js';

const known = new Map();

/** A message with its conversation's title; null when it is gone. Asked for once. */
export function message(id) {
  if (!known.has(id)) {
    known.set(id, get('message', { id }, { around: 0 })
      .then((found) => ({ ...found.messages[0], session: found.session_id, title: found.session_title }))
      .catch((problem) => { known.delete(id); return problem.status === 404 ? null : { problem }; }));
  }
  return known.get(id);
}

/** [before, <mark>, after], or the quote alone. */
export function marked(text, quote, whole) {
  const parts = whole ? locate(text, quote) : nearby(text, quote);
  if (!parts) return html`${text}`;
  return html`${parts[0]}<mark>${parts[1]}</mark>${parts[2]}`;
}

export function Source({ memory, whole = false }) {
  const { quote, message_id: id, session_id: session } = memory.source ?? {};
  const [found, setFound] = useState(undefined);
  useEffect(() => {
    let gone = false;
    setFound(undefined);
    if (id) message(id).then((one) => { if (!gone) setFound(one); });
    return () => { gone = true; };
  }, [id]);
  if (!id) return html`<div class="source"><p class="quiet">${quote ? html`“${quote}”` : t(memory.merged_from?.length ? 'source.merged' : 'source.hand')}</p></div>`;
  const text = found?.content;
  return html`<div class="source">
    <p class="said" dir="auto" lang=${script(text ?? quote ?? '')}>${text ? marked(text, quote, whole) : html`<mark>${quote}</mark>`}</p>
    <p class="quiet">${found === null ? t('source.gone') : found?.title !== undefined && !found.problem
      ? html`${t('source.you', { when: moment(found.created_at) })} <a href=${`#/chat/${session}?m=${id}`} dir="auto">${found.title || t('chat.untitled')}</a>` : ''}</p>
  </div>`;
}
