// Memories and their links: a picture to walk through, and the same as a list.
import { html, useMemo, useState } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { href } from '../../core/router.js';
import { get } from '../../api/client.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';
import { Source } from '../../parts/source.js';
import { Picture } from './picture.js';
import { facts } from './card.js';

const list = matchMedia('(pointer: coarse), (prefers-reduced-motion: reduce)');

function Links({ nodes, edges }) {
  const names = new Map(nodes.map((node) => [node.id, node.content]));
  return html`<ul class="memory-list">${nodes.map((node) => html`<li key=${node.id}><a href=${href('memory', node.id)} dir="auto">${node.content}</a>
    <ul>${edges.filter((edge) => edge.source === node.id || edge.target === node.id).map((edge, at) => {
      const other = edge.source === node.id ? edge.target : edge.source;
      return html`<li key=${at}><span class="quiet">${word('relation', edge.type)}</span> <a href=${href('memory', other)} dir="auto">${names.get(other) ?? other}</a></li>`;
    })}</ul></li>`)}</ul>`;
}

/** What is chosen in the picture, as it is shown everywhere. */
function Beside({ id }) {
  const memory = useLoad(() => get('memory', { id }), [id]);
  return html`<${Loaded} of=${memory}>${(found) => html`<h2 dir="auto">${found.content}</h2><p class="quiet">${facts(found)}</p>
    <${Source} memory=${found} /><a href=${href('memory', found.id)}>${t('open')}</a>`}<//>`;
}

export function Graph() {
  const graph = useLoad(() => get('graph'), []);
  const [asList, setAsList] = useState(list.matches);
  const [kind, setKind] = useState('');
  const [query, setQuery] = useState('');
  const [chosen, setChosen] = useState(null);
  const { nodes, edges } = useMemo(() => {
    const all = graph.data ?? { nodes: [], edges: [] };
    const some = all.nodes.filter((node) => !kind || node.type === kind);
    const ids = new Set(some.map((node) => node.id));
    return { nodes: some, edges: all.edges.filter((edge) => ids.has(edge.source) && ids.has(edge.target)) };
  }, [graph.data, kind]);
  return html`<${Loaded} of=${graph}>${(data) => {
    if (!data.nodes.length) return html`<${Empty} text=${t('graph.empty')} />`;
    const kinds = [...new Set(data.nodes.map((node) => node.type))];
    return html`<div class="row"><label class="sr" for="graph-search">${t('memory.search')}</label>
        <input id="graph-search" type="search" dir="auto" class="grow" placeholder=${t('graph.find')} value=${query} onInput=${(event) => setQuery(event.target.value)} />
        <label class="quiet">${t('memory.kind')} <select value=${kind} onChange=${(event) => { setKind(event.target.value); setChosen(null); }}><option value="">${t('any')}</option>
          ${kinds.map((one) => html`<option key=${one} value=${one}>${word('type', one)}</option>`)}</select></label>
        <button type="button" aria-pressed=${asList} onClick=${() => setAsList(!asList)}>${t('graph.as.list')}</button></div>
      ${data.truncated && html`<p class="note">${t('graph.cut')}</p>`}
      ${asList ? html`<${Links} nodes=${nodes.filter((node) => node.content.toLowerCase().includes(query.toLowerCase()))} edges=${edges} />`
        : html`<div class="graph"><${Picture} key=${kind} nodes=${nodes} edges=${edges} query=${query} chosen=${chosen} onChoose=${setChosen} />
          <aside class="card" aria-label=${t('graph.chosen')}>${chosen ? html`<${Beside} key=${chosen} id=${chosen} />` : html`<p class="quiet">${t('graph.how')}</p>`}</aside></div>`}`;
  }}<//>`;
}
