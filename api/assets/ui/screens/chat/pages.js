// The pages of a conversation as they come from the server: the newest first, older ones when wanted, changed ones in their place.
import { batch } from '../../core/dom.js';
import { get } from '../../api/client.js';

export const PAGE = 50;
/** The most that the API gives at once. */
const MOST = 200;

const ask = (chat, query) => get('messages', { id: chat.id }, { order: 'desc', limit: PAGE, ...query });

/** Puts the newest messages in the place of what is known of them; what was loaded before them stays. */
export function renew(chat, { messages: newestFirst, next_cursor: cursor }) {
  const fresh = [...newestFirst].reverse();
  const ids = new Set(fresh.map((message) => message.id));
  const meet = chat.messages.value.findIndex((message) => ids.has(message.id));
  batch(() => {
    if (meet < 0) {
      // Nothing in common: there may be others between, so that what is known is asked for again when wanted.
      chat.sheetOf = new Map(fresh.map((message) => [message.id, 0]));
      chat.messages.value = fresh;
      chat.cursor.value = cursor;
    } else {
      chat.messages.value = [...chat.messages.value.slice(0, meet), ...fresh.slice(meet ? 0 : fresh.findIndex(({ id }) => id === chat.messages.value[0].id))];
    }
  });
}

export const newest = async (chat, limit = PAGE) => renew(chat, await ask(chat, { limit }));

/** The page before what is known. `around` is called before it is shown; what it gives, when it has been drawn. */
export async function older(chat, around = () => null, limit = PAGE) {
  const page = await ask(chat, { cursor: chat.cursor.value, limit });
  const known = new Set(chat.messages.value.map((message) => message.id));
  const before = page.messages.reverse().filter((message) => !known.has(message.id));
  chat.sheets += 1;
  for (const { id } of before) chat.sheetOf.set(id, -chat.sheets);
  chat.whenDrawn = around();
  batch(() => {
    chat.messages.value = [...before, ...chat.messages.value];
    chat.cursor.value = page.next_cursor;
  });
}

/** Loads back to a message that somebody wants to see, if it is in this conversation. */
export async function reach(chat, id) {
  while (chat.cursor.value && !chat.stop.signal.aborted && !chat.messages.value.some((message) => message.id === id)) await older(chat, undefined, MOST);
}

/** The answer to a question of long ago, which is on no page that was just asked for. */
export async function answerTo(chat, question) {
  const found = await get('message', { id: question }, { around: 1 });
  const list = chat.messages.value;
  const at = list.findIndex((message) => message.id === question);
  const answer = found.messages[found.messages.findIndex((message) => message.id === question) + 1];
  if (at < 0 || answer?.role !== 'assistant' || list.some((message) => message.id === answer.id)) return;
  chat.messages.value = [...list.slice(0, at + 1), answer, ...list.slice(at + 1)];
}
