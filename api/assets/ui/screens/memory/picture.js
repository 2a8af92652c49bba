// The graph as discs and lines. It settles in small steps, so that the page stays free, and is drawn by hand while it does.
import { html, useEffect, useRef } from '../../core/dom.js';
import { t, word } from '../../core/i18n.js';
import { forceCenter, forceCollide, forceLink, forceManyBody, forceSimulation } from '../../vendor/d3-force.js';

const WIDTH = 900;
const HEIGHT = 620;
/** Milliseconds of a frame that go into settling. */
const STEP = 8;

const radius = (node, links) => 6 + Math.min(10, links.get(node.id) ?? 0);

/** The neighbour that lies most in an arrow's direction. */
function towards(from, key, edges) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  let best = null;
  let most = 0;
  for (const { source, target } of edges) {
    const other = source === from ? target : target === from ? source : null;
    if (!other) continue;
    const [x, y] = [other.x - from.x, other.y - from.y];
    const along = (x * way[0] + y * way[1]) / (Math.hypot(x, y) || 1);
    if (along > most) { most = along; best = other; }
  }
  return best;
}

export function Picture({ nodes, edges, query, chosen, onChoose }) {
  const root = useRef(null);
  const made = useRef(null);
  made.current ??= (() => {
    const count = new Map();
    for (const edge of edges) for (const id of [edge.source, edge.target]) count.set(id, (count.get(id) ?? 0) + 1);
    const points = nodes.map((node) => ({ ...node, r: radius(node, count) }));
    const at = new Map(points.map((point) => [point.id, point]));
    const lines = edges.map((edge) => ({ type: edge.type, source: at.get(edge.source), target: at.get(edge.target) }));
    return { points, lines, at };
  })();
  const { points, lines, at } = made.current;
  useEffect(() => {
    const simulation = forceSimulation(points).force('charge', forceManyBody().strength(-90)).force('link', forceLink(lines).distance(70))
      .force('center', forceCenter(WIDTH / 2, HEIGHT / 2)).force('collide', forceCollide((point) => point.r + 4)).stop();
    const discs = [...root.current.querySelectorAll('circle')];
    const strokes = [...root.current.querySelectorAll('line')];
    const draw = () => {
      points.forEach((point, place) => {
        point.x = Math.max(20, Math.min(WIDTH - 20, point.x));
        point.y = Math.max(20, Math.min(HEIGHT - 20, point.y));
        discs[place].setAttribute('cx', point.x);
        discs[place].setAttribute('cy', point.y);
      });
      lines.forEach(({ source, target }, place) => {
        for (const [name, value] of [['x1', source.x], ['y1', source.y], ['x2', target.x], ['y2', target.y]]) strokes[place].setAttribute(name, value);
      });
    };
    let frame;
    const settle = () => {
      const until = performance.now() + STEP;
      while (simulation.alpha() > simulation.alphaMin() && performance.now() < until) simulation.tick();
      draw();
      if (simulation.alpha() > simulation.alphaMin()) frame = requestAnimationFrame(settle);
    };
    frame = requestAnimationFrame(settle);
    return () => cancelAnimationFrame(frame);
  }, []);
  const choose = (id) => { onChoose(id); root.current.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus(); };
  const keys = (event) => {
    if (!event.key.startsWith('Arrow') || !chosen) return;
    event.preventDefault();
    const next = towards(at.get(chosen), event.key, lines);
    if (next) choose(next.id);
  };
  const found = (point) => query && point.content.toLowerCase().includes(query.toLowerCase());
  const first = chosen ?? points[0]?.id;
  return html`<svg ref=${root} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label=${t('memory.graph')} onKeyDown=${keys}>
    ${lines.map((line, place) => html`<line key=${place} class=${line.type === 'contradicts' ? 'clash' : ''} />`)}
    ${points.map((point) => html`<circle key=${point.id} data-id=${point.id} r=${point.r} class=${`kind-${point.type}${point.status === 'pending' ? ' pending' : ''}${found(point) ? ' found' : ''}`}
      role="button" aria-label=${`${point.content}, ${word('type', point.type)}`} aria-pressed=${chosen === point.id} tabindex=${point.id === first ? 0 : -1}
      onClick=${() => choose(point.id)} onKeyDown=${(event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(point.id); } }}><title>${point.content}</title></circle>`)}
  </svg>`;
}
