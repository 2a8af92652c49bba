// T13: with the keyboard alone memories are kept, forgotten, corrected and taken back; the server has the very verdicts one saw.
import assert from 'node:assert/strict';
import { promise, until, visit, world } from './harness.mjs';

const it = world({ env: { MEMORY__CONSOLIDATE_AFTER: '1000000' } });
const THINGS = ['tea', 'chess', 'opera', 'cycling', 'origami', 'jazz', 'sailing', 'pottery', 'astronomy', 'gardening', 'fencing', 'painting', 'swimming', 'baking', 'sudoku',
  'archery', 'ballet', 'climbing', 'darts', 'embroidery', 'falconry', 'golf', 'hockey', 'judo', 'karate', 'lacrosse', 'mosaics', 'netball', 'orchids', 'poetry', 'quilting', 'rowing',
  'surfing', 'tennis', 'unicycles', 'violins', 'weaving', 'xylophones', 'yoga', 'zithers', 'bonsai', 'curling', 'drumming', 'etching', 'flutes', 'gliding', 'harps', 'kites', 'maps', 'stamps'];

async function waiting(person, least) {
  return until(`${least} memories wait`, async () => { const { items } = await it.server.call('GET', '/memory/pending?limit=200', person); return items.length >= least && items; }, 60_000);
}

/** What the page says of each card, in its order. */
const cards = (page) => page.locator('.memory-card').evaluateAll((all) => all.map((card) => ({ id: card.dataset.id, open: card.dataset.open === 'true', words: card.querySelector('strong')?.textContent ?? null })));
const focused = (page) => page.evaluate(() => document.activeElement.closest('.memory-card')?.dataset.id ?? null);

promise('fifty memories kept, forgotten, corrected and taken back by keyboard: the verdicts equal what the API says', { timeout: 240_000 }, async ({ open }) => {
  const person = await it.server.account();
  for (let at = 0; at < THINGS.length; at += 10) {
    await it.server.call('POST', '/chat', { token: person.token, body: { message: THINGS.slice(at, at + 10).map((thing) => `I love ${thing}.`).join(' ') } });
  }
  await waiting(person, THINGS.length);
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  // By keyboard from the first: no pointer is used in all of this.
  await page.locator('#composer').press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.locator('.memory-card').first().waitFor();
  await page.waitForFunction(() => document.activeElement.classList.contains('memory-card'));
  const order = (await cards(page)).map((card) => card.id);
  assert.equal(order.length, THINGS.length);
  const wanted = {};
  for (const [at, id] of order.entries()) {
    assert.equal(await focused(page), id, `the focus is on card ${at}`);
    const verdict = ['confirm', 'reject', 'correct', 'undo', 'confirm'][at % 5];
    wanted[id] = verdict;
    if (verdict === 'reject') await page.keyboard.press('n');
    else if (verdict === 'correct') {
      await page.keyboard.press('e');
      await page.waitForFunction(() => document.activeElement.localName === 'textarea');
      await page.keyboard.type(`Said otherwise ${at}`);
      await page.keyboard.press('Control+Enter');
    } else {
      await page.keyboard.press('y');
      if (verdict === 'undo') {
        // Back to it, taken back, and on.
        await page.keyboard.press('k');
        assert.equal(await focused(page), id);
        await page.keyboard.press('u');
        await page.waitForFunction((one) => document.querySelector(`[data-id="${one}"]`).dataset.open === 'true', id);
        await page.locator(`[data-id="${id}"]`).evaluate((card) => card.focus());
        await page.keyboard.press('j');
      }
    }
    const next = order[at + 1];
    // The next card has the focus before the network has answered.
    if (next) await page.waitForFunction((one) => document.activeElement.closest('.memory-card')?.dataset.id === one, next);
  }
  const shown = Object.fromEntries((await cards(page)).map((card) => [card.id, card.open ? 'undo' : { Kept: 'confirm', Forgotten: 'reject', Corrected: 'correct' }[card.words]]));
  assert.deepEqual(shown, wanted, 'what the page says');
  const status = { confirm: 'confirmed', reject: 'rejected', correct: 'confirmed', undo: 'pending' };
  await until('all verdicts are there', async () => (await it.server.call('GET', '/memory/pending?limit=200', person)).items.length === Object.values(wanted).filter((one) => one === 'undo').length);
  const faults = [];
  for (const [at, id] of order.entries()) {
    const memory = await it.server.call('GET', `/memory/${id}`, person);
    if (memory.status !== status[wanted[id]]) faults.push(`${at} ${wanted[id]}: ${memory.status}`);
    if ((wanted[id] === 'correct') !== (memory.content === `Said otherwise ${at}`)) faults.push(`${at} ${wanted[id]}: ${memory.content}`);
  }
  assert.deepEqual(faults, [], 'what the server says');
});

promise('many at once: X marks, Y keeps all that are marked, and letters do nothing while one writes', {}, async ({ open }) => {
  const person = await it.server.account();
  await it.server.call('POST', '/chat', { token: person.token, body: { message: 'I love tea. I love chess. I love opera. I love sailing.' } });
  const items = await waiting(person, 4);
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url, 'memory/review');
  await page.waitForFunction(() => document.activeElement.classList.contains('memory-card'));
  const order = (await cards(page)).map((card) => card.id);
  assert.equal(order.length, items.length);
  await page.keyboard.press('x');
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.keyboard.press('y');
  await until('two are kept', async () => (await it.server.call('GET', '/memory/pending', person)).items.length === items.length - 2);
  await page.locator(`[data-id="${order[2]}"]`).evaluate((card) => card.focus());
  await page.keyboard.press('e');
  await page.waitForFunction(() => document.activeElement.localName === 'textarea');
  await page.keyboard.type('yes no u y n');
  await page.keyboard.press('Escape');
  assert.equal(await focused(page), order[2], 'the focus is back on the card');
  assert.equal((await it.server.call('GET', '/memory/pending', person)).items.length, items.length - 2, 'letters in a field are letters');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('y');
  assert.equal((await cards(page)).filter((card) => card.open).length, 2, 'and outside a card they do nothing');
});

promise('a conflict is decided by keyboard, and taken back on the page of the memory: it is as it was', {}, async ({ open }) => {
  const person = await it.server.account();
  await it.server.call('POST', '/chat', { token: person.token, body: { message: 'I live in Sylhet.' } });
  const [first] = await waiting(person, 1);
  await it.server.call('POST', `/memory/${first.id}/verify`, { token: person.token, body: { action: 'confirm' } });
  const before = await it.server.call('GET', `/memory/${first.id}`, person);
  await it.server.call('POST', '/chat', { token: person.token, body: { message: 'I live in Dhaka.' } });
  const [conflict] = await until('a conflict', async () => { const list = await it.server.call('GET', '/memory/conflicts?status=open', person); return list.length && list; });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url, 'memory/conflicts');
  await page.locator('.pair').first().focus();
  const keep = conflict.memories.findIndex((memory) => memory.id !== first.id);
  await page.keyboard.press(String(keep + 1));
  await page.getByText('Decided.').first().waitFor();
  await until('the older one is replaced', async () => (await it.server.call('GET', `/memory/${first.id}`, person)).status !== 'confirmed');
  await page.evaluate((id) => { location.hash = `#/memory/${id}`; }, first.id);
  const undo = page.locator('.history').getByRole('button', { name: 'Undo' }).first();
  await undo.focus();
  await page.keyboard.press('Enter');
  await until('it is as it was', async () => (await it.server.call('GET', `/memory/${first.id}`, person)).status === 'confirmed');
  const after = await it.server.call('GET', `/memory/${first.id}`, person);
  for (const field of ['content', 'status', 'source', 'importance', 'confidence', 'valid_to', 'slot']) assert.deepEqual(after[field], before[field], field);
});
