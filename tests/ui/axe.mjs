// What axe finds on a page: WCAG 2.2 A and AA, and what it calls good practice.
import fs from 'node:fs';
import { require } from './harness.mjs';

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export async function faults(page, where) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))));
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(async (tags) => (await globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] })).violations
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 140)} ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ''}`.slice(0, 320))), TAGS);
  return found.map((one) => `${where}: ${one}`);
}

export const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1360, 390].map((width) => ({ colorScheme, width })));

/** One state in these themes and widths: only its look changes, so that it is opened once. */
export async function inLooks(page, where, looks = LOOKS) {
  const found = [];
  for (const { colorScheme, width } of looks) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 860 });
    // At its end, where the composer lies over nothing.
    await page.evaluate(() => { const main = document.querySelector('main'); if (main) main.scrollTop = main.scrollHeight; });
    found.push(...await faults(page, `${where} ${colorScheme} ${width}`));
  }
  return found;
}
