// A quote in the message it came from. Messages and quotes may differ in spaces and line ends.

/** [before, match, after]; null when it is not there. Of several places the first counts. */
export function locate(text, quote) {
  if (!quote) return null;
  const at = text.indexOf(quote);
  if (at >= 0) return [text.slice(0, at), quote, text.slice(at + quote.length)];
  const words = quote.normalize('NFC').trim().split(/\s+/u).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  if (!words.length) return null;
  const found = new RegExp(words.join('\\s+'), 'iu').exec(text.normalize('NFC')) ?? new RegExp(words.join('\\s+'), 'iu').exec(text);
  if (!found) return null;
  const whole = found.input;
  return [whole.slice(0, found.index), found[0], whole.slice(found.index + found[0].length)];
}

/** The same with one sentence on either side, and dots where something is left out. */
export function nearby(text, quote) {
  const parts = locate(text, quote);
  if (!parts) return null;
  const [before, match, after] = parts;
  const ends = /[.!?।\n](?:\s|$)/gu;
  let cut = 0;
  const stops = [...before.matchAll(ends)].map((stop) => stop.index + stop[0].length);
  if (stops.length > 1) cut = stops[stops.length - 2];
  let end = after.length;
  const next = [...after.matchAll(ends)];
  const own = /[.!?।]\s*$/u.test(match) ? 0 : 1;
  if (next.length > own) end = next[own].index + 1;
  return [(cut > 0 ? '… ' : '') + before.slice(cut), match, after.slice(0, end) + (end < after.length ? ' …' : '')];
}
