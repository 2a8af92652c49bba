// Conversations from JSON files, chosen or dropped: ours, and exports of other services, which a job takes in. A file that is neither
// is told why, by its name.
import { html, signal } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { loadChats } from '../../core/session.js';
import { told } from '../../core/wrong.js';
import { get, insistently, newKey, post, Problem } from '../../api/client.js';
import { Choose } from '../../parts/choose.js';

/** What is wrong with a file, in our words. */
class Unfit extends Error {}

/** Whether what comes in is read for memories, as what is said here is. */
const remembered = signal(true);

export function Import({ onFiles }) {
  return html`<${Choose} label=${t('import')} onFiles=${onFiles} accept=".json,application/json" />
    <label class="quiet"><input type="checkbox" checked=${remembered.value} onChange=${(event) => { remembered.value = event.target.checked; }} /> ${t('import.remember')}</label>`;
}

/** Whether another service wrote this conversation: docs/import.md. */
const isForeign = (one) => ['mapping', 'chat_messages', 'chat', 'history', 'conversationId'].some((name) => one?.[name]);

/** What a file of another service came to, once its job has ended. */
async function takeForeign(file) {
  const body = new Blob([file], { type: 'application/json' });
  const key = newKey();
  let job = await insistently(() => post('sessionImport', {}, body, { key, query: { extract: remembered.value }, headers: { Prefer: 'respond-async' } }));
  while (['queued', 'running'].includes(job.status)) job = await insistently(() => get('job', { id: job.id }, { wait: 30 }));
  // Done before it was looked at: the answer is the result itself.
  if (job.sessions !== undefined) return job;
  if (job.status !== 'succeeded') throw new Unfit(job.error?.detail ?? t('import.not.read'));
  return job.result;
}

/** The conversations in a file: what the export gives, or a list of such. Throws a sentence when there are none. */
function conversations(given) {
  const all = Array.isArray(given) && given.every((one) => Array.isArray(one?.messages)) ? given : [given];
  if (!all.length || !all.every((one) => Array.isArray(one?.messages))) throw new Unfit(t('import.no.messages'));
  if (all.some((one) => !one.messages.length)) throw new Unfit(t('import.empty'));
  return all;
}

/** `messages[3].role` is of the fourth message. */
function wording(error) {
  const { field } = error;
  const message = told(error);
  const [, index, part] = /^messages\[(\d+)\]\.?(\w*)/.exec(field) ?? [];
  if (index === undefined) return `${field}: ${message}`;
  return t(part ? 'import.wrong.at' : 'import.wrong.whole', { n: Number(index) + 1, part, message });
}

function wrong(error) {
  if (!(error instanceof Problem)) return error.message;
  if (error.offline) return t('problem.offline');
  const errors = error.errors ?? [];
  if (!errors.length) return error.detail;
  const rest = errors.length > 3 ? ` ${t('import.wrong.more', { n: errors.length - 3 })}` : '';
  return errors.slice(0, 3).map(wording).join(' ') + rest;
}

/** Takes files in; gives [{name, chat}, {name, sum} of another service's, or {name, wrong}]. */
export async function take(files) {
  const results = [];
  for (const file of files) {
    try {
      const text = await file.text().catch(() => { throw new Unfit(t('import.not.read')); });
      let given;
      try { given = JSON.parse(text); } catch { throw new Unfit(t('import.not.json')); }
      if (isForeign(Array.isArray(given) ? given[0] : given)) {
        results.push({ name: file.name, at: results.length, sum: await takeForeign(file) });
        continue;
      }
      for (const one of conversations(given)) {
        const { title, messages } = one;
        const chat = await post('sessionImport', {}, { ...(title?.trim?.() ? { title } : {}), messages }, { key: newKey(), query: { extract: remembered.value } });
        results.push({ name: file.name, at: results.length, chat });
      }
    } catch (error) {
      if (!(error instanceof Problem) && !(error instanceof Unfit)) throw error;
      results.push({ name: file.name, at: results.length, wrong: wrong(error) });
    }
  }
  loadChats();
  return results;
}
