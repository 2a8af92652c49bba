// The conversation: messages in one column, what was remembered in the margin, the composer below. It never scrolls by itself.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { go, route } from '../../core/router.js';
import { heading, say } from '../../core/store.js';
import { onKeys } from '../../core/keys.js';
import { onEvents } from '../../api/events.js';
import { get, patch } from '../../api/client.js';
import { ProblemLine } from '../../parts/problem.js';
import { Conversation } from './conversation.js';
import { Composer } from './composer.js';
import { First } from './first.js';
import { Outgoing } from './question.js';
import { LiveAnswer } from './answer.js';
import { Older } from './older.js';
import { drawSeen } from './text.js';
import { Sheets } from './sheets.js';
import { Follow } from './follow.js';

export function Chat() {
  const id = route.value.parts[1] ?? null;
  const [turn, setTurn] = useState(0);
  const holder = useRef(null);
  // The same conversation goes on when its first message gives it a name.
  const chat = useMemo(() => {
    if (holder.current && id !== null && holder.current.id === id) return holder.current;
    holder.current?.close();
    const made = new Conversation(id);
    made.onNamed = (session) => go(`chat/${session}`, { replace: true });
    holder.current = made;
    // At once: an effect would begin a frame or two later.
    queueMicrotask(() => made.load().then(() => made.resume()));
    return made;
  }, [id, turn]);
  useEffect(() => () => holder.current?.close(), []);
  return html`<${Open} key=${chat} chat=${chat} renew=${() => setTurn((n) => n + 1)} />`;
}

function Open({ chat }) {
  const session = chat.session.value;
  const list = useRef(null);
  // Room below the last question, so that it can stand at the top; only once somebody has written here.
  const [talked, setTalked] = useState(false);
  useEffect(() => {
    heading.value = { title: session?.title || (chat.id ? t('chat.untitled') : t('chat.new')), actions: session && html`<${Actions} chat=${chat} />` };
  }, [session]);
  useEffect(() => onEvents((name, data) => {
    // Asked for, not taken from the event: a title that the user gave stays.
    if (name === 'title' && data.session_id === chat.id) get('session', { id: chat.id }).then((found) => { chat.session.value = found; }, () => {});
    // Another tab or device is talking here.
    if (name === 'job' && data.kind === 'chat' && data.session_id === chat.id && ['queued', 'running'].includes(data.status)
      && !chat.live.value.some((one) => one.job === data.job_id)) {
      chat.reload().then(() => chat.watch(data.job_id));
    }
  }), [chat]);
  const wanted = route.value.query.get('m');
  useEffect(() => {
    if (chat.loading.value || !wanted) return;
    chat.reach(wanted).catch(() => {}).then(() => requestAnimationFrame(() => document.getElementById(wanted)?.scrollIntoView({ block: 'center' })));
  }, [chat.loading.value, wanted]);
  const messages = chat.messages.value;
  const live = chat.live.value;
  // An answer whose question is not accepted yet has no place: above its question it would push that down and back.
  const loose = live.filter((one) => !messages.some((message) => message.id === one.question)
    && (one.problem || !chat.outgoing.value.includes(one.item)));
  const empty = !messages.length && !live.length && !chat.outgoing.value.length && !chat.loading.value && !chat.problem.value;
  useOpenAtEnd(list, chat, wanted);
  useMessageKeys(list);
  return html`<div class="chat" ref=${list}>
    <div class="thread" role="log" aria-live="off" aria-label=${t('chat.thread')}>
      <${ProblemLine} problem=${chat.problem.value} onRetry=${() => chat.load()} />
      ${chat.loading.value && html`<p class="quiet" role="status">${t('loading')}</p>`}
      ${chat.cursor.value && html`<${Older} chat=${chat} />`}
      ${empty && html`<${First} chat=${chat} />`}
      <${Sheets} chat=${chat} />
      ${loose.map((one) => html`<div class="turn" key=${one.job}><${LiveAnswer} answer=${one} chat=${chat} /></div>`)}
      ${chat.outgoing.value.map((item) => html`<${Outgoing} key=${item.key} item=${item} chat=${chat} />`)}
      <div class=${talked ? 'room high' : 'room'} aria-hidden="true"></div>
    </div>
    <${Follow} chat=${chat} />
    <${Composer} chat=${chat} onSent=${() => { setTalked(true); raise(list.current); }} />
  </div>`;
}

/** Milliseconds within which a new question finds its place. */
const SETTLING = 350;

/** The newest question goes to the top of the view, once. Nothing scrolls after that. */
function raise(element) {
  const main = document.getElementById('main');
  const until = performance.now() + SETTLING;
  let moved = false;
  const ways = ['wheel', 'touchmove', 'keydown'];
  const stop = () => { moved = true; };
  const place = () => {
    const all = element?.querySelectorAll('.question');
    const last = all?.[all.length - 1];
    if (last && !moved) {
      const off = last.getBoundingClientRect().top - main.getBoundingClientRect().top - 16;
      if (Math.abs(off) >= 1) main.scrollTop += off;
    }
    if (!moved && performance.now() < until) requestAnimationFrame(place);
    else for (const name of ways) main.removeEventListener(name, stop);
  };
  // Not before the key that sent it is over.
  requestAnimationFrame(() => {
    for (const name of ways) main.addEventListener(name, stop, { once: true, passive: true });
    place();
  });
}

/** A conversation that is opened shows its end. */
function useOpenAtEnd(list, chat, wanted) {
  const done = useRef(false);
  useLayoutEffect(() => {
    if (done.current || chat.loading.value || !chat.messages.value.length || wanted) return;
    done.current = true;
    const main = document.getElementById('main');
    const top = (name) => list.current.querySelector(name).getBoundingClientRect().top;
    // Below the last words is room, and over that the composer.
    drawSeen(main, [...list.current.querySelectorAll('.turn')].at(-1), () => { main.scrollTop += top('.room') - top('.composer') + 16; });
  });
}

function useMessageKeys(list) {
  useEffect(() => onKeys((name, event) => {
    if ((name !== 'Alt+ArrowUp' && name !== 'Alt+ArrowDown') || !list.current) return false;
    const all = [...list.current.querySelectorAll('.message')];
    const at = all.indexOf(document.activeElement.closest?.('.message'));
    const next = at < 0 ? all.length - 1 : at + (name === 'Alt+ArrowUp' ? -1 : 1);
    all[Math.max(0, Math.min(all.length - 1, next))]?.focus();
    event.preventDefault();
    return true;
  }), []);
}

function Actions({ chat }) {
  const rename = async () => {
    const title = prompt(t('chat.rename'), chat.session.value.title)?.trim();
    if (!title) return;
    chat.session.value = { ...chat.session.value, ...(await patch('session', { id: chat.id }, { title })) };
    say(t('chat.renamed'));
  };
  return html`${chat.session.value?.parent_session_id && html`<a class="chip" href=${`#/chat/${chat.session.value.parent_session_id}`}>${t('chat.parent')}</a>`}
    <button type="button" class="chip" onClick=${rename}>${t('rename')}</button>`;
}
