// What was done is said, and can be taken back, also when more is done meanwhile: up to three lines stand, each with its own Undo.
import assert from 'node:assert/strict';
import { promise, until, visit, world } from './harness.mjs';

const it = world();
const names = (page) => page.locator('.toast span').allTextContents();

promise('three deletions in a row: each can be undone, and the others go through', {}, async ({ open }) => {
  const person = await it.server.account();
  for (const title of ['One', 'Two', 'Three', 'Four']) await it.server.call('POST', '/chat/sessions', { token: person.token, body: { title } });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await page.evaluate(() => { location.hash = '#/chats'; });
  await page.locator('.chat-row').nth(3).waitFor();
  for (const title of ['One', 'Two', 'Three']) {
    await page.locator('.chat-row', { hasText: title }).getByRole('button', { name: /^Delete/ }).click();
    await page.locator('.chat-row', { hasText: title }).waitFor({ state: 'detached' });
  }
  assert.equal(await page.locator('.toast').count(), 3);
  const places = await page.locator('.toast').evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
  assert.deepEqual(places, [...places].sort((a, b) => a - b), 'the newest is at the bottom');
  await page.locator('.toast').first().getByRole('button', { name: 'Undo' }).click();
  await page.locator('.chat-row', { hasText: 'One' }).waitFor();
  assert.equal(await page.locator('.toast').count(), 2);
  await page.reload();
  await until('two are gone', async () => (await it.server.call('GET', '/chat/sessions', person)).items.length === 2);
  assert.deepEqual((await it.server.call('GET', '/chat/sessions', person)).items.map(({ title }) => title).sort(), ['Four', 'One']);
});

promise('a line that only says something gives way before one with an Undo, and each goes at its own time', {}, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url);
  await page.evaluate(async () => {
    const { toast } = await globalThis.__module('parts/toast.js');
    const undo = { action: 'Undo', onAction: () => { globalThis.__undone = true; } };
    toast('first', { ...undo, millis: 60_000 });
    for (const text of ['second', 'third', 'fourth']) toast(text, { millis: 60_000 });
  });
  assert.deepEqual(await names(page), ['first', 'third', 'fourth']);
  await page.evaluate(async () => (await globalThis.__module('parts/toast.js')).toast('short', { millis: 200 }));
  assert.deepEqual(await names(page), ['first', 'fourth', 'short']);
  await page.locator('.toast', { hasText: 'short' }).waitFor({ state: 'detached' });
  assert.deepEqual(await names(page), ['first', 'fourth']);
  await page.getByRole('button', { name: 'Undo' }).click();
  assert.ok(await page.evaluate(() => globalThis.__undone));
  assert.deepEqual(await names(page), ['fourth']);
});
