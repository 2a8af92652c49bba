// The prompts of a project: which one is in use, and one of them open to write in.
import { html, useEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { moment } from '../../core/time.js';
import { go, href, route } from '../../core/router.js';
import { get, newKey, post, Problem } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Editor } from './editor.js';

function New({ project, onDone, onClose }) {
  const [name, setName] = useState('');
  const [problem, setProblem] = useState(null);
  const save = async (event) => {
    event.preventDefault();
    try { onDone(await post('prompts', { id: project.id }, { name, content: t('prompt.start') }, { key: newKey() })); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const errors = byField(problem);
  return html`<${Dialog} title=${t('prompt.new')} onClose=${onClose}><form onSubmit=${save}>
    <${Field} name="prompt-name" label=${t('prompt.name')} help=${t('prompt.new.help')} value=${name} onInput=${setName} error=${errors.name} required maxlength="100" />
    <${ProblemLine} problem=${errors.name ? null : problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="submit" class="act">${t('prompt.make')}</button></div></form><//>`;
}

export function Prompts({ project }) {
  const list = useLoad(() => get('prompts', { id: project.id }), [project.id]);
  const [making, setMaking] = useState(false);
  const open = route.value.parts[3];
  const items = list.data?.items ?? [];
  const shown = items.find((prompt) => prompt.id === open);
  useEffect(() => {
    const first = items.find((prompt) => prompt.is_active) ?? items[0];
    if (list.data && !shown && first) go(`projects/${project.id}/prompts/${first.id}`, { replace: true });
  }, [list.data, open]);
  const changed = (prompt) => list.set((old) => ({ items: old.items.map((one) => (one.id === prompt.id ? prompt : prompt.is_active ? { ...one, is_active: false } : one)) }));
  const gone = (prompt) => { list.set((old) => ({ items: old.items.filter((one) => one.id !== prompt.id) })); toast(t('deleted')); };
  const made = (prompt) => {
    setMaking(false);
    list.set((old) => ({ items: [...old.items.map((one) => (prompt.is_active ? { ...one, is_active: false } : one)), prompt] }));
    go(`projects/${project.id}/prompts/${prompt.id}`);
  };
  const button = html`<button type="button" class=${items.length ? '' : 'act'} onClick=${() => setMaking(true)}>${t('prompt.new')}</button>`;
  return html`<${Loaded} of=${list}>${() => (items.length ? html`
      <div class="row prompt-list"><ul aria-label=${t('project.prompts')}>${items.map((prompt) => html`<li key=${prompt.id}>
        <a class="chip" href=${href('projects', project.id, 'prompts', prompt.id)} aria-current=${prompt.id === open ? 'page' : undefined} title=${moment(prompt.updated_at)}><span dir="auto">${prompt.name}</span>${prompt.is_active && html` <span class="tag ok">${t('prompt.active')}</span>`}</a></li>`)}</ul>${button}</div>
      ${shown && html`<${Editor} key=${shown.id} project=${project} prompt=${shown} onChange=${changed} onGone=${gone} />`}`
      : html`<${Empty} text=${t('prompt.empty')}>${button}<//>`)}<//>
    ${making && html`<${New} project=${project} onDone=${made} onClose=${() => setMaking(false)} />`}`;
}
