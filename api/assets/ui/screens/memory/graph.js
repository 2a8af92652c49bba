// Memories and their links as a list, which is the same as a graph to read.
import { html } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { href } from '../../core/router.js';
import { get } from '../../api/client.js';
import { Empty, Loaded, useLoad } from '../../parts/list.js';

export function Graph() {
  const graph = useLoad(() => get('graph'), []);
  return html`<${Loaded} of=${graph}>${({ nodes, edges, truncated }) => {
    const names = new Map(nodes.map((node) => [node.id, node.content]));
    const linked = nodes.map((node) => ({ node, links: edges.filter((edge) => edge.source === node.id || edge.target === node.id) })).filter(({ links }) => links.length);
    if (!linked.length) return html`<${Empty} text=${t('graph.empty')} />`;
    return html`${truncated && html`<p class="note">${t('graph.cut')}</p>`}<ul class="memory-list">${linked.map(({ node, links }) => html`<li key=${node.id}>
      <a href=${href('memory', node.id)} dir="auto">${node.content}</a><ul>${links.map((edge, at) => {
        const other = edge.source === node.id ? edge.target : edge.source;
        return html`<li key=${at}><span class="quiet">${word('relation', edge.type)}</span> <a href=${href('memory', other)} dir="auto">${names.get(other) ?? other}</a></li>`;
      })}</ul></li>`)}</ul>`;
  }}<//>`;
}
