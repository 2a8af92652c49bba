// One project: its defaults above, then its prompts, keys and budget.
import { html, useEffect, useState } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import { go, href } from '../../core/router.js';
import { heading } from '../../core/store.js';
import { call, get, Problem } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Later } from '../../parts/later.js';
import { Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { ProjectForm } from './form.js';

/** Each is fetched when it is first opened. */
const TABS = {
  prompts: () => import('./prompts.js').then((module) => module.Prompts),
  keys: () => import('./keys.js').then((module) => module.Keys),
  budget: () => import('./budget.js').then((module) => module.Budget),
};

function Delete({ project, onClose }) {
  const [sessions, setSessions] = useState('keep');
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const remove = async () => {
    setBusy(true);
    try {
      await call('DELETE', 'project', { places: { id: project.id }, query: { sessions } });
      toast(t('project.deleted'));
      go('projects', { replace: true });
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); setBusy(false); }
  };
  const choice = (value) => html`<div class="field is-checkbox"><input type="radio" name="sessions" id=${`sessions-${value}`} checked=${sessions === value} onChange=${() => setSessions(value)} />
    <label for=${`sessions-${value}`}>${t(`project.sessions.${value}`)}</label></div>`;
  return html`<${Dialog} title=${t('project.delete.title', { name: project.name })} onClose=${onClose}><p>${t('project.delete.text')}</p>
    <fieldset class="choice"><legend>${t('project.sessions')}</legend>${choice('keep')}${choice('delete')}</fieldset>
    <${ProblemLine} problem=${problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="button" class="bad" disabled=${busy} onClick=${remove}>${t('project.delete')}</button></div><//>`;
}

function facts(project) {
  const parts = [[project.default_provider, project.default_model].filter(Boolean).join(' · ') || t('project.any')];
  if (project.temperature !== null && project.temperature !== undefined) parts.push(t('project.temperature.is', { n: number(project.temperature) }));
  if (project.fallback) parts.push(t('project.fallback.on'));
  return parts.join(' · ');
}

export function One({ id, tab }) {
  const found = useLoad(() => get('project', { id }), [id]);
  const [open, setOpen] = useState(null);
  const name = found.data?.name;
  useEffect(() => { heading.value = { title: name ?? t('projects'), actions: html`<a href="#/projects" class="chip">${t('project.all')}</a>` }; }, [name]);
  const which = tab in TABS ? tab : 'prompts';
  return html`<${Loaded} of=${found}>${(project) => html`
    <div class="row top-line"><div class="grow"><h2 dir="auto">${project.name}</h2>${project.description && html`<p dir="auto">${project.description}</p>`}<p class="quiet" dir="auto">${facts(project)}</p></div>
      <button type="button" onClick=${() => setOpen('edit')}>${t('edit')}</button><button type="button" onClick=${() => setOpen('delete')}>${t('delete')}</button></div>
    <nav class="tabs" aria-label=${t('project.parts')}>${Object.keys(TABS).map((one) => html`<a key=${one} href=${href('projects', id, one)} aria-current=${one === which ? 'page' : undefined}>${t(`project.${one}`)}</a>`)}</nav>
    <${Later} key=${which} load=${TABS[which]} project=${project} />
    ${open === 'edit' && html`<${ProjectForm} project=${project} onClose=${() => setOpen(null)} onDone=${(changed) => { found.set(changed); setOpen(null); toast(t('saved')); }} />`}
    ${open === 'delete' && html`<${Delete} project=${project} onClose=${() => setOpen(null)} />`}`}<//>`;
}
