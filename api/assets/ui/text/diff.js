// Two texts by words: what stayed, what went, what came. The longest common run of words, by the usual table.
const LONGEST = 2_000;

const split = (text) => text.match(/\s+|[^\s]+/gu) ?? [];

/** [{kind: 'same' | 'old' | 'new', text}] */
export function diff(before, after) {
  const a = split(before);
  const b = split(after);
  if (a.length > LONGEST || b.length > LONGEST) return [{ kind: 'old', text: before }, { kind: 'new', text: after }];
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const out = [];
  const put = (kind, text) => {
    const last = out[out.length - 1];
    if (last?.kind === kind) last.text += text;
    else out.push({ kind, text });
  };
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) { put('same', a[i]); i += 1; j += 1; }
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) { put('old', a[i]); i += 1; }
    else { put('new', b[j]); j += 1; }
  }
  while (i < a.length) { put('old', a[i]); i += 1; }
  while (j < b.length) { put('new', b[j]); j += 1; }
  return out;
}
