// A text that grows: finished blocks become nodes once and stay, only the tail is read again, at most once a frame and
// never more than a fifth of the time.
import { block, code, lex } from './render.js';

/** Blocks in a box that the browser may skip when it is off screen. */
const BOX = 24;

export class Growing {
  constructor(element) {
    this.element = element;
    this.clear();
    this.busyUntil = 0;
    this.frame = 0;
  }

  clear() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.text = '';
    this.frozen = 0; // characters that are nodes for good
    this.box = null;
    this.tail = document.createElement('div');
    this.element.replaceChildren(this.tail);
  }

  append(piece) {
    this.text += piece;
    this.later();
  }

  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      if (now < this.busyUntil) return this.later();
      const begun = performance.now();
      this.paint();
      this.busyUntil = now + (performance.now() - begun) * 4;
      return undefined;
    });
  }

  /** Draws what is there now. */
  paint() {
    const rest = this.text.slice(this.frozen);
    // An open fence grows one text node, and is read as Markdown when it closes.
    const open = /^(`{3,}|~{3,})([^\n`]*)\n/.exec(rest);
    if (open && !closes(rest, open[1])) return this.grow(open, rest.slice(open[0].length));
    this.fence = null;
    const tokens = lex(rest);
    while (tokens.length && tokens[tokens.length - 1].type === 'space') tokens.pop();
    // A line that is not ended may yet join what stands before it: nothing is frozen by its beginning.
    const ended = rest.lastIndexOf('\n') + 1;
    const finished = [];
    for (let at = 0, n = 0; n < tokens.length - 1; n += 1) {
      at += tokens[n].raw.length;
      if (at + (tokens[n + 1].type === 'space' ? tokens[n + 1].raw.length : 0) >= ended) break;
      finished.push(tokens[n]);
    }
    for (const token of finished) {
      this.frozen += token.raw.length;
      for (const node of block(token)) this.keep(node);
    }
    const last = tokens[tokens.length - 1];
    const nodes = last ? (last.type === 'code' && !/\n?(`{3,}|~{3,})\s*$/.test(last.raw) && /^[`~]/.test(last.raw) ? [code(last, true)] : block(last)) : [];
    this.tail.replaceChildren(...nodes);
    return undefined;
  }

  grow(open, words) {
    if (!this.fence) {
      const node = code({ lang: open[2], text: words }, true);
      this.fence = node.querySelector('code').firstChild ?? node.querySelector('code').appendChild(document.createTextNode(''));
      this.tail.replaceChildren(node);
    }
    if (this.fence.data !== words) this.fence.data = words;
  }

  keep(node) {
    if (!this.box || this.box.childElementCount >= BOX) {
      this.box = document.createElement('div');
      this.box.className = 'box';
      this.tail.before(this.box);
    }
    this.box.append(node);
  }

  /** The end: the text must be the server's, else it is drawn again whole. */
  finish(whole) {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    // What is said at the end of a text of a name for an address changes the links before it.
    if (this.text !== whole || /^ {0,3}\[[^\]\n]+\]:/m.test(whole)) {
      this.clear();
      this.text = whole;
    }
    this.fence = null;
    // What was open is coloured now.
    this.tail.replaceChildren(...lex(this.text.slice(this.frozen)).flatMap((token) => block(token)));
  }
}

function closes(text, fence) {
  const lines = text.split('\n');
  for (let at = 1; at < lines.length; at += 1) {
    const line = lines[at].trim();
    if (line.length >= fence.length && line.split('').every((c) => c === fence[0])) return true;
  }
  return false;
}
