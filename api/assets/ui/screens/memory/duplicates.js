// Memories that say the same: the suggested wording above its sources; merge, and unmerge for ever.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { go } from '../../core/router.js';
import { get, newKey, post, Problem } from '../../api/client.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Row } from './all.js';

function Suggestion({ suggestion, onDone }) {
  const sources = useLoad(() => Promise.all(suggestion.memory_ids.map((id) => get('memory', { id }).catch(() => null))), [suggestion]);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const merge = async () => {
    setBusy(true);
    try {
      const made = await post('consolidate', {}, { memory_ids: suggestion.memory_ids }, { key: newKey(), headers: { Prefer: 'wait=30' } });
      const id = made.consolidated_memory?.id;
      toast(t('merged'), id ? { action: t('open'), onAction: () => go(`memory/${id}`) } : {});
      onDone();
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); } finally { setBusy(false); }
  };
  return html`<article class="card"><h2 dir="auto">${suggestion.suggested_content}</h2><p class="quiet">${suggestion.reason}</p>
    <${Loaded} of=${sources}>${(found) => html`<ul class="memory-list">${found.filter(Boolean).map((memory) => html`<${Row} key=${memory.id} memory=${memory} />`)}</ul>`}<//>
    <${ProblemLine} problem=${problem} /><button type="button" class="act" disabled=${busy} onClick=${merge}>${t('merge')}</button></article>`;
}

export function Duplicates() {
  const list = useLoad(() => get('suggestions', {}, { limit: 50 }), []);
  return html`<${Loaded} of=${list}>${(found) => (found.length ? found.map((one) => html`<${Suggestion} key=${one.memory_ids.join()} suggestion=${one} onDone=${list.reload} />`)
    : html`<${Empty} text=${t('duplicates.empty')} />`)}<//>`;
}
