// T5: a text that grew, however it was cut, has the very nodes of the same text drawn at once.
import assert from 'node:assert/strict';
import { MARKDOWN, ATTACKS } from './corpus.mjs';
import { promise, visit, world } from './harness.mjs';

const it = world();

/** In the page: for each text the ways of cutting it that give other nodes than the whole. */
async function compare({ texts, ways, paint }) {
  const [{ Growing }, { draw }] = await Promise.all([__module('text/stream.js'), __module('text/render.js')]);
  const shape = (node) => {
    if (node.nodeType === 3) return node.data;
    const attributes = [...node.attributes].map((one) => `${one.name}=${one.value}`).sort().join(' ');
    return `<${node.localName} ${attributes}>${inside(node.childNodes)}</>`;
  };
  // Adjacent text nodes are one; the boxes that hold finished blocks are not part of the text.
  const inside = (nodes) => [...nodes].map(shape).join('');
  const blocks = (element) => [...element.childNodes].flatMap((box) => [...box.childNodes]);
  const faults = [];
  let checked = 0;
  for (const text of texts) {
    const whole = inside(draw(text));
    const pieces = ways === 'two' ? Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => [text.slice(0, at + 1), text.slice(at + 1)]) : [text.split('')];
    for (const cut of pieces) {
      const element = document.createElement('div');
      const growing = new Growing(element);
      for (const piece of cut) { growing.append(piece); if (paint) growing.paint(); }
      growing.finish(text);
      checked += 1;
      const shown = inside(blocks(element));
      if (shown !== whole && !faults.some((fault) => fault.text === text)) {
        let at = 0;
        while (shown[at] === whole[at]) at += 1;
        faults.push({ text, after: ways === 'two' ? cut[0].slice(-30) : 'each character', shown: shown.slice(at - 20, at + 120), whole: whole.slice(at - 20, at + 120) });
      }
    }
  }
  return { faults, checked };
}

const scene = async (open) => visit(await open(it.browser, { url: it.server.url }), it.server.url, 'welcome/sign-up');

for (const [ways, name] of [['two', 'for every split into two pieces'], ['each', 'one character at a time']]) {
  promise(`a text that grew equals the same text drawn whole, ${name}`, {}, async ({ open }) => {
    const texts = [...MARKDOWN, MARKDOWN.slice(0, 5).join('\n\n')];
    const { faults, checked } = await (await scene(open)).evaluate(compare, { texts, ways, paint: true });
    assert.ok(checked >= texts.length);
    assert.deepEqual(faults, []);
  });
}

promise('attacks that come one character at a time are drawn as they are drawn whole', {}, async ({ open }) => {
  const { faults } = await (await scene(open)).evaluate(compare, { texts: ATTACKS.filter((text) => text.length < 300), ways: 'each', paint: true });
  assert.deepEqual(faults, []);
});
