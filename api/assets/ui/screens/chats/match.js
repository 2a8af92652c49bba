// The line of a conversation that matched a search, with the words marked.
import { html } from '../../core/dom.js';
import { post, Problem } from '../../api/client.js';

const BEFORE = 60;
const AFTER = 120;

/** What the user said by chat, where it has the words: the search of chats itself tells only which chats. */
export async function found(q) {
  const lines = new Map();
  try {
    const hits = await post('memorySearch', {}, { query: q.slice(0, 2_000), sources: ['messages'], mode: 'keyword', limit: 100, min_bearing: 0 });
    for (const { message } of hits) {
      if (message && !lines.has(message.session_id) && message.content.toLowerCase().includes(q.toLowerCase())) lines.set(message.session_id, message);
    }
  } catch (problem) {
    // The chats are found without it too.
    if (!(problem instanceof Problem)) throw problem;
  }
  return lines;
}

/** A text with the words marked; `cut` shows their surroundings alone. */
export function Marked({ text, q, cut }) {
  const at = q ? text.toLowerCase().indexOf(q.toLowerCase()) : -1;
  if (at < 0) return text;
  const end = at + q.length;
  const from = cut ? Math.max(0, at - BEFORE) : 0;
  const to = cut ? Math.min(text.length, end + AFTER) : text.length;
  return html`${from > 0 ? '… ' : ''}${text.slice(from, at)}<mark>${text.slice(at, end)}</mark>${text.slice(end, to)}${to < text.length ? ' …' : ''}`;
}
