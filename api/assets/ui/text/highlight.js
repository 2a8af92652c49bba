// Colours for code, as nodes. The library and each language are fetched when first met; very long code stays plain.
const LONGEST = 60_000;
const NAMES = { js: 'javascript', jsx: 'javascript', ts: 'typescript', tsx: 'typescript', py: 'python', sh: 'bash', shell: 'bash', zsh: 'bash',
  rs: 'rust', yml: 'yaml', html: 'xml', svg: 'xml', 'c++': 'cpp', cs: 'csharp', kt: 'kotlin', md: 'markdown', rb: 'ruby', toml: 'ini', docker: 'dockerfile' };
const HAVE = new Set(['bash', 'c', 'cpp', 'csharp', 'css', 'diff', 'dockerfile', 'go', 'ini', 'java', 'javascript', 'json', 'kotlin', 'markdown',
  'php', 'python', 'ruby', 'rust', 'sql', 'typescript', 'xml', 'yaml']);

/** What highlight.js tells its results to: here, spans with the class of their scope. */
class Nodes {
  constructor() {
    this.root = document.createDocumentFragment();
    /** @type {(DocumentFragment | HTMLElement)[]} */
    this.stack = [this.root];
  }
  get top() { return this.stack[this.stack.length - 1]; }
  addText(text) { if (text) this.top.append(text); }
  startScope(scope) {
    const span = document.createElement('span');
    span.className = `hl-${scope.split('.')[0]}`;
    this.top.append(span);
    this.stack.push(span);
  }
  endScope() { this.stack.pop(); }
  openNode(scope) { this.startScope(scope); }
  closeNode() { this.endScope(); }
  __addSublanguage(other) { this.top.append(other.root); }
  closeAllNodes() { this.stack.length = 1; }
  finalize() { this.closeAllNodes(); }
  toHTML() { return ''; }
}

let library = null;
const languages = new Map();

async function load(name) {
  library ??= import('../vendor/highlight/core.js').then(({ default: hljs }) => { hljs.configure({ __emitter: Nodes }); return hljs; });
  const hljs = await library;
  if (!languages.has(name)) {
    languages.set(name, import(`../vendor/highlight/${name}.js`).then((module) => hljs.registerLanguage(name, module.default)));
  }
  await languages.get(name);
  return hljs;
}

/** Puts coloured nodes in the place of an element's text, some time later. */
export async function colour(element, called) {
  const name = NAMES[called.toLowerCase()] ?? called.toLowerCase();
  const text = element.textContent;
  if (!HAVE.has(name) || text.length > LONGEST) return;
  try {
    const hljs = await load(name);
    const result = hljs.highlight(text, { language: name, ignoreIllegals: true });
    if (element.textContent === text) element.replaceChildren(result._emitter.root);
  } catch (error) {
    console.warn('not coloured', error.message);
  }
}
