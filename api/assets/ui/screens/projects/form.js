// A project's own fields, to make one or to change it.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { get, newKey, patch, post, Problem } from '../../api/client.js';
import { Dialog } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';

export function ProjectForm({ project = null, onDone, onClose }) {
  const [form, setForm] = useState(() => ({ name: project?.name ?? '', description: project?.description ?? '', default_provider: project?.default_provider ?? '',
    default_model: project?.default_model ?? '', temperature: project?.temperature ?? '', fallback: project?.fallback ?? false }));
  const models = useLoad(() => get('models'), []);
  const [problem, setProblem] = useState(null);
  const [key] = useState(newKey);
  const set = (name) => (value) => setForm((old) => ({ ...old, [name]: value }));
  const save = async (event) => {
    event.preventDefault();
    const body = { name: form.name, description: form.description, default_provider: form.default_provider || null, default_model: form.default_model.trim() || null,
      temperature: form.temperature === '' ? null : Number(form.temperature), fallback: form.fallback };
    try {
      onDone(project ? await patch('project', { id: project.id }, body) : await post('projects', {}, body, { key: problem ? newKey() : key }));
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const errors = byField(problem);
  const named = Object.keys(errors).some((name) => name in form);
  const known = models.data?.models ?? [];
  const providers = [...new Set([...known.map((one) => one.provider), form.default_provider].filter(Boolean))];
  return html`<${Dialog} title=${t(project ? 'project.edit' : 'project.new')} onClose=${onClose}><form onSubmit=${save}>
    <${Field} name="name" label=${t('project.name')} value=${form.name} onInput=${set('name')} error=${errors.name} required maxlength="100" />
    <${Field} name="description" label=${t('project.description')} rows=${2} value=${form.description} onInput=${set('description')} error=${errors.description} maxlength="2000" />
    <${Field} name="default_provider" label=${t('project.provider')} value=${form.default_provider} onInput=${set('default_provider')} error=${errors.default_provider}>
      <option value="">${t('project.provider.any')}</option>${providers.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}<//>
    <${Field} name="default_model" label=${t('project.model')} help=${t('project.model.help')} value=${form.default_model} onInput=${set('default_model')} error=${errors.default_model} list="known-models" />
    <datalist id="known-models">${known.map((one) => html`<option key=${`${one.provider} ${one.model}`} value=${one.model}></option>`)}</datalist>
    <${Field} name="temperature" type="number" min="0" max="2" step="0.1" label=${t('project.temperature')} help=${t('project.temperature.help')} value=${form.temperature} onInput=${set('temperature')} error=${errors.temperature} />
    <${Field} name="fallback" type="checkbox" label=${t('project.fallback')} value=${form.fallback} onInput=${set('fallback')} />
    <${ProblemLine} problem=${named ? null : problem} />
    <div class="row end"><button type="button" onClick=${onClose}>${t('cancel')}</button><button type="submit" class="act">${t('save')}</button></div></form><//>`;
}
