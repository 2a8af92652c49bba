// The stored messages, in sheets of as many as were loaded at once: what is far away is neither laid out nor looked at again.
import { html, useEffect, useLayoutEffect, useRef } from '../../core/dom.js';
import { Question } from './question.js';
import { Answer, LiveAnswer } from './answer.js';
import { heightOf } from './height.js';

const GAP = 24;
/** So near, in pixels, the turns of a sheet are looked at; and so near one is laid out. Browsers would only half a view before. */
const NEAR = { sheet: 2_400, turn: 1_600 };

/** Lays out what is near, so that its height is known before it is in the view. */
function useNear(box, count) {
  useEffect(() => {
    const root = document.getElementById('main');
    const show = (entries) => { for (const one of entries) one.target.style.contentVisibility = one.isIntersecting ? 'visible' : ''; };
    const turns = new IntersectionObserver(show, { root, rootMargin: `${NEAR.turn}px` });
    const sheet = new IntersectionObserver((entries) => {
      show(entries);
      turns.disconnect();
      // None when the chat was left: an effect ends only after the next frame.
      if (entries.at(-1).isIntersecting) for (const turn of box.current?.children ?? []) turns.observe(turn);
    }, { root, rootMargin: `${NEAR.sheet}px` });
    sheet.observe(box.current);
    return () => { sheet.disconnect(); turns.disconnect(); };
  }, [count]);
}

/** Messages in runs of one sheet. One that came by itself belongs where the one before it is. */
function inSheets(messages, sheetOf) {
  const sheets = [];
  messages.forEach((message, at) => {
    const number = sheetOf.get(message.id) ?? sheets.at(-1)?.number ?? 0;
    if (sheets.at(-1)?.number !== number) sheets.push({ number, before: messages[at - 1], messages: [] });
    sheets.at(-1).messages.push(message);
  });
  return sheets;
}

const isSame = (one, other) => one.before === other.before && one.newest === other.newest && !one.live.length && !other.live.length
  && one.messages.length === other.messages.length && one.messages.every((message, at) => message === other.messages[at]);

export function Sheets({ chat }) {
  const drawn = useRef(new Map());
  const sheets = inSheets(chat.messages.value, chat.sheetOf);
  const next = new Map();
  sheets.forEach((sheet, at) => {
    sheet.newest = at === sheets.length - 1;
    sheet.live = chat.live.value.filter((one) => sheet.messages.some((message) => message.id === one.question));
    const known = drawn.current.get(sheet.number);
    // The same node again: Preact does not look into a sheet in which nothing is new.
    sheet.node = known && isSame(known, sheet) ? known.node : html`<${Sheet} key=${sheet.number} chat=${chat} sheet=${sheet} />`;
    next.set(sheet.number, sheet);
  });
  drawn.current = next;
  useLayoutEffect(() => { chat.whenDrawn?.(); chat.whenDrawn = null; });
  return sheets.map((sheet) => sheet.node);
}

function Sheet({ chat, sheet: { messages, before, newest, live } }) {
  // What comes with its sheet is drawn when the reader comes near; what comes later is already being looked at.
  const isThere = useRef(false);
  useLayoutEffect(() => { isThere.current = true; }, []);
  const box = useRef(null);
  useNear(box, messages.length);
  const heights = messages.map(heightOf);
  const height = heights.reduce((sum, one) => sum + one + GAP, -GAP);
  return html`<div class=${newest ? 'sheet newest' : 'sheet'} ref=${box} style=${{ containIntrinsicHeight: `auto ${height}px` }}>
    ${messages.map((message, at) => {
      const isLast = newest && at === messages.length - 1;
      return html`<div class="turn" key=${message.id} style=${{ containIntrinsicHeight: `auto ${heights[at]}px` }}>
        ${message.role === 'user' ? html`<${Question} message=${message} chat=${chat} />`
          : html`<${Answer} message=${message} question=${messages[at - 1] ?? before} chat=${chat} last=${isLast} wait=${!isThere.current && !isLast} />`}
        ${live.filter((one) => one.question === message.id).map((one) => html`<${LiveAnswer} key=${one.job} answer=${one} chat=${chat} />`)}
      </div>`;
    })}</div>`;
}
