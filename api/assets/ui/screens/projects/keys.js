// A project's own keys for providers: written here, never shown again.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { day } from '../../core/time.js';
import { get, put, remove, Problem } from '../../api/client.js';
import { Confirm } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';

const PROVIDERS = ['openai', 'anthropic', 'gemini', 'groq', 'openrouter', 'ollama'];

export function Keys({ project }) {
  const { id } = project;
  const list = useLoad(() => get('providerKeys', { id }), [id]);
  const [provider, setProvider] = useState(PROVIDERS[0]);
  const [secret, setSecret] = useState('');
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(null);
  const tried = async (doing) => {
    setProblem(null);
    try { await doing(); list.reload(); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const save = (event) => {
    event.preventDefault();
    tried(async () => { await put('providerKey', { id, provider }, { api_key: secret.trim() }); setSecret(''); toast(t('project.key.kept', { name: provider })); });
  };
  const errors = byField(problem);
  return html`<h3>${t('project.keys')}</h3><p class="quiet">${t('project.keys.help')}</p>
    <${Loaded} of=${list}>${({ items }) => (items.length ? html`<ul class="plain-list">${items.map((key) => html`<li key=${key.provider} class="row"><strong>${key.provider}</strong>
      <span class="quiet grow">${t('project.key.since', { when: day(key.created_at) })}</span><button type="button" onClick=${() => setAsking(key.provider)}>${t('delete')}<span class="sr"> ${key.provider}</span></button></li>`)}</ul>`
      : html`<p>${t('project.keys.none')}</p>`)}<//>
    <form class="card narrow" onSubmit=${save}><h3>${t('project.key.add')}</h3>
      <${Field} name="key-provider" label=${t('ops.provider')} value=${provider} onInput=${setProvider} error=${errors.provider}>${PROVIDERS.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}<//>
      <${Field} name="api_key" type="password" label=${t('project.key')} help=${t('project.key.help')} value=${secret} onInput=${setSecret} error=${errors.api_key} required autocomplete="off" />
      <${ProblemLine} problem=${errors.api_key || errors.provider ? null : problem} />
      <button type="submit" class="act">${t('project.key.save')}</button></form>
    ${asking && html`<${Confirm} title=${t('project.key.delete', { name: asking })} text=${t('project.key.delete.text')} verb=${t('delete')} onClose=${() => setAsking(null)}
      onYes=${() => tried(async () => { await remove('providerKey', { id, provider: asking }); toast(t('deleted')); })} />`}`;
}
