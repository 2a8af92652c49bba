// What a project may spend a day, and how much of today's is used.
import { html, useEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { get, put, Problem } from '../../api/client.js';
import { Field, byField } from '../../parts/field.js';
import { Loaded, useLoad } from '../../parts/list.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Left } from '../usage/quota.js';

const limit = (text) => (String(text).trim() === '' ? undefined : Number(text));

export function Budget({ project }) {
  const left = useLoad(() => get('quota', {}, { project_id: project.id }), [project.id]);
  const [tokens, setTokens] = useState('');
  const [cost, setCost] = useState('');
  const [problem, setProblem] = useState(null);
  useEffect(() => { if (left.data) { setTokens(left.data.daily_tokens ?? ''); setCost(left.data.daily_cost ?? ''); } }, [left.data]);
  const save = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      await put('budget', { id: project.id }, { daily_tokens: limit(tokens), daily_cost: limit(cost) });
      toast(t('saved'));
      left.reload();
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const errors = byField(problem);
  return html`<h3>${t('project.budget')}</h3><p class="quiet">${t('project.budget.help')}</p>
    <${Loaded} of=${left}>${(found) => html`<${Left} left=${found} />`}<//>
    <form class="card narrow" onSubmit=${save}>
      <${Field} name="daily_tokens" type="number" min="0" step="1" label=${t('work.daily.tokens')} help=${t('project.budget.none')} value=${tokens} onInput=${setTokens} error=${errors.daily_tokens} />
      <${Field} name="daily_cost" type="number" min="0" step="any" label=${t('work.daily.cost')} value=${cost} onInput=${setCost} error=${errors.daily_cost} />
      <${ProblemLine} problem=${Object.keys(errors).length ? null : problem} />
      <button type="submit" class="act">${t('save')}</button></form>`;
}
