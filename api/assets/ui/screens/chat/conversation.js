// One conversation: its pages of messages, what is being sent, and the answer that grows. Plain state, no drawing.
import { signal } from '../../core/dom.js';
import { get, newKey, post, problemOf, raw, insistently, Problem } from '../../api/client.js';
import { watch } from './live.js';
import { PAGE, newest, older, reach, renew } from './pages.js';
import * as drafts from '../../core/drafts.js';
import { user } from '../../core/store.js';
import { loadChats } from '../../core/session.js';

export class Conversation {
  constructor(session) {
    this.id = session;
    this.session = signal(null);
    /** Oldest first. */
    this.messages = signal([]);
    /** Which sheet a message came with: 0 for the newest, older ones below. */
    this.sheetOf = new Map();
    this.sheets = 0;
    /** Called once, when what was just put in has been drawn. */
    this.whenDrawn = null;
    this.cursor = signal(null);
    this.loading = signal(session !== null);
    this.problem = signal(null);
    /** Messages that the server has not accepted yet: {key, text, images, state: 'sending' | 'waiting' | 'failed', problem}. */
    this.outgoing = signal([]);
    /** Answers in the making by job: {job, question, item, text, listeners, state, tools, memories, notes}. */
    this.live = signal([]);
    /** What answers here may look into: {id, name}; images for the next message; what is to be said of it, and the naming that waits for (attached.js). */
    this.files = signal([]); this.images = signal([]); this.wanted = null; this.naming = null;
    /** Called with a session's id when the first message has made one. */
    this.onNamed = (/** @type {string} */ _) => {};
    /** Puts words into the composer: it says how. */
    this.fill = (/** @type {string} */ _) => {};
    this.stop = new AbortController();
  }

  close() {
    this.stop.abort();
  }

  async load() {
    if (this.id === null) return;
    this.loading.value = true;
    this.problem.value = null;
    try {
      const [session, page] = await Promise.all([
        get('session', { id: this.id }),
        get('messages', { id: this.id }, { limit: PAGE, order: 'desc' }),
      ]);
      this.session.value = session;
      renew(this, page);
      get('sessionFiles', { id: this.id }).then(({ files }) => { this.files.value = files; }, () => {});
      if (session.active_job_id) this.watch(session.active_job_id);
      this.watchUnanswered();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.problem.value = problem;
    } finally {
      this.loading.value = false;
    }
  }

  older(around) { return older(this, around); }

  reach(message) { return reach(this, message); }

  /** Questions at the end without an answer: their jobs are still at work (or failed, which the job says). */
  watchUnanswered() {
    const list = this.messages.value;
    list.forEach((message, at) => {
      const next = list[at + 1];
      if (message.role === 'user' && message.job_id && (!next || next.role === 'user')) this.watch(message.job_id, message.id);
    });
  }

  // --- Sending ---

  /** Sends a text; `body` holds the choices (provider, tools, …). The key makes it happen once, whatever breaks. */
  async send(text, choices = {}, images = []) {
    const item = { key: newKey(), text, choices, images, state: 'sending', problem: null };
    // Kept before it is shown and sent: from here on it cannot be lost.
    await this.keepOutgoing([...this.outgoing.value, item]);
    this.outgoing.value = [...this.outgoing.value, item];
    this.push(item);
  }

  keepOutgoing(items = this.outgoing.value) {
    const kept = items.map(({ key, text, choices, images }) => ({ key, text, choices, images }));
    return drafts.save(user.value.id, `out/${this.id ?? 'new'}`, kept.length ? { key: kept[0].key, text: '', kept } : null);
  }

  /** What was on its way when the page was left goes out again, with its key. */
  async resume() {
    const draft = await drafts.load(user.value.id, `out/${this.id ?? 'new'}`);
    for (const { key, text, choices, images = [] } of draft?.kept ?? []) {
      if (this.outgoing.value.some((item) => item.key === key)) continue;
      const item = { key, text, choices, images, state: 'sending', problem: null };
      this.outgoing.value = [...this.outgoing.value, item];
      await this.push(item);
    }
  }

  change(item, fields) {
    Object.assign(item, fields);
    this.outgoing.value = [...this.outgoing.value];
  }

  async push(item) {
    this.change(item, { state: 'sending', problem: null });
    await this.naming;
    const body = { message: item.text, ...item.choices };
    if (this.id) body.session_id = this.id;
    if (item.images.length) body.images = item.images.map(({ id }) => id);
    try {
      const response = await insistently(async () => {
        const answer = await raw('POST', 'stream', { body, key: item.key, signal: this.stop.signal });
        if (answer.ok) return answer;
        throw await problemOf(answer);
      }, (problem) => { this.change(item, { state: 'waiting', problem }); return !this.stop.signal.aborted; });
      await this.accepted(item, response);
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (!(error instanceof Problem)) throw error;
      this.change(item, { state: 'failed', problem: error });
    }
  }

  again(item) {
    item.key = newKey();
    return this.push(item);
  }

  /** What was refused can be changed: its words and images are in the composer again. */
  takeBack(item) {
    this.fill(item.text);
    this.images.value = item.images;
    return this.drop(item);
  }

  async drop(item) {
    this.outgoing.value = this.outgoing.value.filter((other) => other !== item);
    await this.keepOutgoing();
  }

  /** The stream of a sent message: its first event says that it was stored. */
  async accepted(item, response) {
    await this.watch(response.headers.get('x-job-id'), null, { response, item });
  }

  /** The server has the message: it leaves the draft and becomes part of the conversation. */
  async stored(item, { session_id: session, message_id: id, job_id: job }) {
    const [isNew, old] = [this.id === null, `out/${this.id ?? 'new'}`];
    this.id = session;
    this.outgoing.value = this.outgoing.value.filter((other) => other !== item);
    const images = item.images.map(({ id, name }) => ({ file_id: id, name }));
    const message = { id, role: 'user', content: item.text, images, job_id: job, status: 'complete', created_at: new Date().toISOString(), variants: 0 };
    if (!this.messages.value.some((other) => other.id === id)) this.messages.value = [...this.messages.value, message];
    if (isNew) {
      this.session.value = { id: session, title: item.text.slice(0, 48), is_pinned: false };
      const cleared = drafts.save(user.value.id, old, null);
      // Its address before anything is waited for: a reload opens this chat, not an empty one.
      this.onNamed(session);
      loadChats();
      await cleared;
    }
    await this.keepOutgoing();
  }

  /** Follows a job's answer to its end. */
  watch(job, question = null, sent = {}) { return watch(this, job, question, sent); }

  // --- What one does with answers ---

  /** Stops the answer that is being made; the words so far are kept. */
  async cancel() {
    const [first] = this.live.value.filter((one) => !one.problem && !one.done);
    if (first) await post('cancel', { id: first.job });
  }

  async retry(job) {
    const { attempt } = await post('retry', { id: job });
    this.live.value = this.live.value.filter((one) => one.job !== job);
    this.messages.value = this.messages.value.filter((message) => !(message.job_id === job && message.role === 'assistant'));
    // What the attempts before it told is over.
    const question = this.messages.value.find((message) => message.job_id === job && message.role === 'user');
    return this.watch(job, question?.id ?? null, { last: `${attempt}-4294967295` });
  }

  /** Another answer to a question; the old one stays as a variant. */
  async regenerate(question, choices = {}) {
    const body = { session_id: this.id, message_id: question, ...choices };
    const job = await insistently(() => post('regenerate', {}, body, { key: newKey(), headers: { Prefer: 'respond-async' } }));
    const at = this.messages.value.findIndex((message) => message.id === question);
    if (this.messages.value[at + 1]?.role === 'assistant') this.messages.value = this.messages.value.filter((_, place) => place !== at + 1);
    return this.watch(job.id, question);
  }

  reload() { return newest(this); }
}
