// T10: axe finds nothing on any screen, light and dark, wide and narrow, in English and Bengali.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { answered, promise, require, say, until, visit, world } from './harness.mjs';

const it = world();
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

async function faults(page, where) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))));
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(async (tags) => (await globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] })).violations
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 140)} ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ''}`.slice(0, 320))), TAGS);
  return found.map((one) => `${where}: ${one}`);
}

/** An account with a chat that has everything in it, memories that wait, and a conflict. */
async function full() {
  const person = await it.server.account();
  const tell = (message) => it.server.call('POST', '/chat', { token: person.token, body: { message } });
  await tell('I live in Sylhet.');
  const waiting = (least) => until('memories', async () => { const { items } = await it.server.call('GET', '/memory/pending', person); return items.length >= least && items; });
  const [first] = await waiting(1);
  await it.server.call('POST', `/memory/${first.id}/verify`, { token: person.token, body: { action: 'confirm' } });
  await tell('I live in Dhaka. I love hiking in the mountains. আমি চা ভালোবাসি।');
  await until('a conflict', async () => (await it.server.call('GET', '/memory/conflicts?status=open', person)).length);
  await waiting(2);
  const { session_id: chat } = await tell('/echo # Title\n\nWords with `code`, a [link](https://example.com) and **more**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint("x")  # said\n```\n\n> quoted\n\n- one\n- two');
  return { person, first, chat };
}

for (const language of ['en', 'bn']) {
  promise(`axe finds nothing on any screen, in both themes and widths (${language})`, { timeout: 240_000 }, async ({ open }) => {
    const { person, first, chat } = await full();
    const found = [];
    const outside = await open(it.browser, { url: it.server.url, language });
    const inside = await open(it.browser, { url: it.server.url, as: person, language });
    const welcome = await visit(outside, it.server.url, 'welcome/sign-in');
    const page = await visit(inside, it.server.url);
    const screens = [['chat', '.first'], [`chat/${chat}`, '.answer .text table'], ['memory/review', '.memory-card .source a'], ['memory/conflicts', '.pair'], ['memory/all', '.memory-list li'], [`memory/${first.id}`, '.history li']];
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1360, 390]) {
        const look = `${colorScheme} ${width} ${language}`;
        for (const one of [welcome, page]) { await one.emulateMedia({ colorScheme, reducedMotion: 'reduce' }); await one.setViewportSize({ width, height: 860 }); }
        for (const form of ['sign-in', 'sign-up', 'forgot']) {
          await welcome.evaluate((hash) => { location.hash = hash; }, `#/welcome/${form}`);
          await welcome.locator('.welcome form').waitFor();
          found.push(...await faults(welcome, `welcome/${form} ${look}`));
        }
        for (const [address, sign] of screens) {
          await page.evaluate((hash) => { location.hash = hash; }, `#/${address}`);
          await page.locator(sign).first().waitFor();
          assert.equal(await page.evaluate(() => document.documentElement.lang), language);
          found.push(...await faults(page, `${address.replace(/_.*/, '')} ${look}`));
        }
      }
    }
    // The others: once as most see them, once on a phone in the dark.
    const others = ['chats', 'settings', 'account', 'keys', 'webhooks', 'projects', 'usage', 'memory/duplicates', 'memory/graph', 'memory/readings', 'operations/queues'];
    for (const [colorScheme, width] of [['light', 1360], ['dark', 390]]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 860 });
      for (const address of others) {
        await page.evaluate((hash) => { location.hash = hash; }, `#/${address}`);
        await page.waitForFunction(() => document.querySelector('#main > *') && !/Loading …|আসছে …/.test(document.querySelector('#main').textContent));
        found.push(...await faults(page, `${address} ${colorScheme} ${width} ${language}`));
      }
    }
    assert.deepEqual([...new Set(found)], []);
  });
}

promise('a screen reader is told that an answer is coming, and then the answer', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await page.evaluate(() => {
    globalThis.__said = [];
    const region = document.querySelector('.sr[aria-live=polite]');
    new MutationObserver(() => { if (region.textContent) globalThis.__said.push(region.textContent); }).observe(region, { childList: true, characterData: true, subtree: true });
  });
  await say(page, '/delay 40 /echo what the answer says');
  await answered(page);
  await page.waitForFunction(() => globalThis.__said.includes('what the answer says'));
  assert.equal((await page.evaluate(() => globalThis.__said))[0], 'Answering …');
  assert.equal(await page.locator('.thread').getAttribute('aria-live'), 'off');
});
