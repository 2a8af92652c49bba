// The variables of a prompt: which names its text uses, and their values as text in a form.
const OURS = ['user', 'project', 'memories', 'date'];
const WORDS = ['if', 'elif', 'else', 'endif', 'for', 'in', 'endfor', 'and', 'or', 'not', 'is', 'true', 'false', 'none', 'loop', ...OURS];

/** The names a template gives lists for: `{% for x in NAME %}`. */
const lists = (content) => [...content.matchAll(/\{%-?\s*for\s+\w+\s+in\s+([A-Za-z_]\w*)/g)].map((found) => found[1]);

/** Names of one's own in a template, in the order they come. */
export function namesIn(content) {
  const text = content.replace(/\{#[\s\S]*?#\}/g, '');
  const inside = [...text.matchAll(/\{\{([\s\S]*?)\}\}|\{%([\s\S]*?)%\}/g)].map((found) => found[1] ?? found[2]);
  const loops = new Set([...text.matchAll(/\{%-?\s*for\s+(\w+)/g)].map((found) => found[1]));
  const names = new Set();
  for (const part of inside) {
    const bare = part.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, ' ').replace(/\|\s*\w+/g, ' ').replace(/\.\s*\w+/g, ' ');
    for (const [name] of bare.matchAll(/[A-Za-z_]\w*/g)) if (!WORDS.includes(name) && !loops.has(name)) names.add(name);
  }
  return [...names];
}

/** Values as text: lists by line, other things as JSON. */
export function asForm(values) {
  return Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, typeof value === 'string' ? value
    : Array.isArray(value) && value.every((one) => typeof one === 'string') ? value.join('\n') : JSON.stringify(value)]));
}

function valueOf(text, list) {
  if (/^\s*[[{]/.test(text)) {
    try { return JSON.parse(text); } catch { /* then it is text */ }
  }
  if (list) return text.split('\n').map((line) => line.trim()).filter(Boolean);
  if (/^(true|false|-?\d+(\.\d+)?)$/.test(text)) return JSON.parse(text);
  return text;
}

/** Text of the form as the API takes it. */
export function asValues(form, names, content) {
  const listed = new Set(lists(content));
  return Object.fromEntries(names.map((name) => [name, valueOf(form[name] ?? '', listed.has(name))]));
}
