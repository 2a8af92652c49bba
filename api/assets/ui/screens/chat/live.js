// An answer in the making: its stream is followed to the end, through cuts and restarts, then the stored one takes its place.
import { get, insistently, Problem } from '../../api/client.js';
import { follow } from '../../api/sse.js';
import { chats } from '../../core/store.js';
import { loadChats } from '../../core/session.js';
import { PAGE, answerTo, renew } from './pages.js';

/** Puts what an event says into an answer. Gives whether what stands around the text has changed. */
function take(answer, name, data) {
  const tell = (kind, piece) => { for (const listener of answer.listeners) listener(kind, piece); };
  switch (name) {
    case 'job':
      answer.state = data.status === 'queued' ? 'queued' : 'running';
      answer.question ??= data.message_id;
      return true;
    case 'token':
      answer.state = 'running';
      answer.text += data.delta;
      tell('token', data.delta);
      // The words draw themselves; only the first ones change what stands around them.
      return answer.text.length === data.delta.length;
    case 'reset':
      answer.text = '';
      answer.tools = [];
      answer.notes = [...answer.notes, 'reset'];
      tell('reset');
      return true;
    case 'memory': answer.memories = data.memories; return true;
    case 'tool_call': answer.tools = [...answer.tools, { ...data }]; return true;
    case 'tool_result': answer.tools = answer.tools.map((tool) => (tool.id === data.id ? { ...tool, ...data } : tool)); return true;
    case 'waiting': answer.state = 'waiting'; return true;
    case 'done': answer.text = data.reply; answer.done = data; tell('done', data.reply); return true;
    case 'error': answer.problem = data; tell('error'); return true;
    default: return false;
  }
}

/**
 * Follows a job of a conversation. `sent.response` is its stream when it is open already, `sent.item` what was sent: it counts
 * as accepted with the first event; `sent.last` is the event after which to begin.
 */
export async function watch(chat, job, question, { response = null, item = null, last = null }) {
  if (chat.live.value.some((one) => one.job === job)) return;
  const answer = { job, question, item, text: '', listeners: new Set(), state: 'queued', tools: [], memories: [], notes: [], cut: false };
  const show = () => { chat.live.value = [...chat.live.value]; };
  chat.live.value = [...chat.live.value, answer];
  const found = ({ name, data }) => {
    if (take(answer, name, data)) show();
    if (name === 'job' && item) chat.stored(item, data);
  };
  const cut = (now) => { if (answer.cut !== now) { answer.cut = now; show(); } };
  try {
    await follow(job, { from: response, last, found, cut, stop: chat.stop.signal });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.offline && item && !answer.question) {
      // Cut before anything came: sent again, with the same key.
      chat.live.value = chat.live.value.filter((one) => one !== answer);
      await chat.push(item);
      return;
    }
    answer.problem = error;
  }
  if (!chat.stop.signal.aborted) await settle(chat, answer);
}

/** Takes what the server has stored in the place of what was watched. */
async function settle(chat, answer) {
  const page = await insistently(() => get('messages', { id: chat.id }, { limit: PAGE, order: 'desc' })).catch(() => null);
  if (!page || chat.stop.signal.aborted) return;
  const isStored = page.messages.some((message) => message.job_id === answer.job && message.role === 'assistant');
  renew(chat, page);
  if (!isStored && answer.question && !answer.problem) await answerTo(chat, answer.question).catch(() => {});
  chat.live.value = chat.live.value.filter((one) => one !== answer || (answer.problem && !isStored));
  if (chats.value.some((one) => one.id === chat.id)) loadChats();
}
