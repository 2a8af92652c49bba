// Webhooks: who else hears of what happens; made with a secret that is shown once; what was sent, and sending it again.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { day } from '../core/time.js';
import { go, href, route } from '../core/router.js';
import { heading } from '../core/store.js';
import { get, Problem, remove } from '../api/client.js';
import { Confirm } from '../parts/dialog.js';
import { Empty, Loaded, useLoad } from '../parts/list.js';
import { ProblemLine } from '../parts/problem.js';
import { toast } from '../parts/toast.js';
import { Deliveries } from './webhooks/deliveries.js';
import { Events } from './webhooks/events.js';
import { Made, Make } from './webhooks/make.js';
import { Checking } from './webhooks/checking.js';

function List({ hooks }) {
  if (!hooks.length) return html`<${Empty} text=${t('hooks.empty')} />`;
  return html`<ul class="hooks">${hooks.map((hook) => html`<li key=${hook.id} class="card"><a href=${href('webhooks', hook.id)} dir="ltr">${hook.url}</a>
    <p><${Events} of=${hook.events} /></p><p class="quiet">${t('hooks.since', { when: day(hook.created_at) })} · <a href=${href('webhooks', hook.id)} aria-label=${t('hooks.deliveries.of', { url: hook.url })}>${t('hooks.deliveries')}</a></p></li>`)}</ul>`;
}

export function Screen() {
  const id = route.value.parts[1];
  const list = useLoad(() => get('webhooks'), []);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(null);
  const [asking, setAsking] = useState(null);
  const [problem, setProblem] = useState(null);
  const title = t('webhooks');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  const drop = async (hook) => {
    setProblem(null);
    try {
      await remove('webhook', { id: hook.id });
      toast(t('hooks.deleted'));
      list.reload();
      go('webhooks', { replace: true });
    } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); }
  };
  const done = (answer) => { setMaking(false); setMade(answer); list.reload(); };
  return html`<div class="page"><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    ${id ? html`<p><a href="#/webhooks">${t('hooks.all')}</a></p>` : html`<div class="row"><p class="quiet grow">${t('hooks.text')}</p><button type="button" class="act" onClick=${() => setMaking(true)}>${t('hooks.make')}</button></div>`}
    <${ProblemLine} problem=${problem} />
    <${Loaded} of=${list}>${({ items }) => {
      if (!id) return html`<${List} hooks=${items} /><${Checking} />`;
      const hook = items.find((one) => one.id === id);
      return hook ? html`<${Deliveries} key=${id} hook=${hook} onDelete=${() => setAsking(hook)} />` : html`<${Empty} text=${t('hooks.gone')} />`;
    }}<//>
    ${making && html`<${Make} onDone=${done} onClose=${() => setMaking(false)} />`}
    ${made && html`<${Made} made=${made} onClose=${() => setMade(null)} />`}
    ${asking && html`<${Confirm} title=${t('hooks.delete')} text=${t('hooks.delete.text', { url: asking.url })} verb=${t('delete')} onClose=${() => setAsking(null)} onYes=${() => drop(asking)} />`}</div>`;
}
