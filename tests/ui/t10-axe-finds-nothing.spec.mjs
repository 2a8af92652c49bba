// T10: axe finds nothing on any screen, light and dark, wide and narrow, in English and Bengali.
import assert from 'node:assert/strict';
import { faults, inLooks } from './axe.mjs';
import { answered, promise, say, visit, world } from './harness.mjs';
import { WELCOME, everything, goTo, named, screens } from './screens.mjs';

const it = world({ env: { QUEUE__MAX_ATTEMPTS: '1' } });
let full;
for (const language of ['en', 'bn']) {
  promise(`axe finds nothing on any screen, in both themes and widths (${language})`, { timeout: 300_000 }, async ({ open }) => {
    full ??= await everything(it);
    const found = [];
    const welcome = await visit(await open(it.browser, { url: it.server.url, language }), it.server.url, 'welcome/sign-in');
    for (const form of WELCOME) {
      await goTo(welcome, `welcome/${form}`, '.welcome form', language);
      found.push(...await inLooks(welcome, `welcome/${form} ${language}`));
    }
    const page = await visit(await open(it.browser, { url: it.server.url, as: full.person, language }), it.server.url);
    for (const [address, sign] of screens(full.ids)) {
      await goTo(page, address, sign, language);
      found.push(...await inLooks(page, `${named(address)} ${language}`));
    }
    assert.deepEqual([...new Set(found)], []);
  });

  promise(`axe finds nothing on the screens of who has nothing yet (${language})`, { timeout: 300_000 }, async ({ open }) => {
    const found = [];
    const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account(), language }), it.server.url);
    for (const [colorScheme, width] of [['light', 1360], ['dark', 390]]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 860 });
      for (const address of ['chats', 'memory/review', 'memory/conflicts', 'memory/all', 'memory/duplicates', 'memory/graph', 'memory/readings', 'usage', 'projects', 'keys', 'webhooks', 'operations/queues']) {
        await goTo(page, address, '.page', language);
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
