// Projects: the list, and one of them at its own address.
import { html, useEffect, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { day } from '../../core/time.js';
import { go, href, route } from '../../core/router.js';
import { heading } from '../../core/store.js';
import { get } from '../../api/client.js';
import { Empty, Loaded, More, useLoad } from '../../parts/list.js';
import { toast } from '../../parts/toast.js';
import { ProjectForm } from './form.js';
import { One } from './one.js';

function All() {
  const list = useLoad(() => get('projects', {}, { limit: 50 }), []);
  const [making, setMaking] = useState(false);
  const more = async () => {
    const next = await get('projects', {}, { limit: 50, cursor: list.data.next_cursor });
    list.set((old) => ({ ...next, items: [...old.items, ...next.items] }));
  };
  const made = (project) => { setMaking(false); toast(t('project.made')); go(`projects/${project.id}/prompts`); };
  const button = html`<button type="button" class="act" onClick=${() => setMaking(true)}>${t('project.new')}</button>`;
  return html`<${Loaded} of=${list}>${({ items, total, next_cursor: next }) => (items.length ? html`
      <div class="row"><h2 class="grow">${t('project.count', { n: total })}</h2>${button}</div>
      <ul class="project-list">${items.map((project) => html`<li key=${project.id} class="card"><h3><a href=${href('projects', project.id, 'prompts')} dir="auto">${project.name}</a></h3>
        ${project.description && html`<p dir="auto">${project.description}</p>`}
        <p class="quiet">${project.default_model || project.default_provider ? html`<span dir="auto">${[project.default_provider, project.default_model].filter(Boolean).join(' · ')}</span> · ` : ''}${t('project.changed', { when: day(project.updated_at) })}</p></li>`)}</ul>
      <${More} shown=${!!next} onMore=${more} />` : html`<h2>${t('projects')}</h2><${Empty} text=${t('project.empty')}>${button}<//>`)}<//>
    ${making && html`<${ProjectForm} onDone=${made} onClose=${() => setMaking(false)} />`}`;
}

export function Screen() {
  const [, id, tab] = route.value.parts;
  useEffect(() => { heading.value = { title: t('projects'), actions: null }; }, []);
  return html`<div class="page projects"><link rel="stylesheet" href=${new URL('../../style/work.css', import.meta.url).href} />
    ${id ? html`<${One} key=${id} id=${id} tab=${tab ?? 'prompts'} />` : html`<${All} />`}</div>`;
}
