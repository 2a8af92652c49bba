// T15: an admin pauses and resumes, and runs again all that match; the row under the pointer does not move.
import assert from 'node:assert/strict';
import { promise, until, visit, world } from './harness.mjs';
import { admin } from './screens.mjs';

const it = world({ env: { QUEUE__MAX_ATTEMPTS: '1' } });

promise('a queue is paused and runs again, and the figures stand still on Hold', {}, async ({ open }) => {
  const chief = await admin(it);
  const page = await visit(await open(it.browser, { url: it.server.url, as: chief }), it.server.url, 'operations/queues');
  const row = page.locator('tr', { hasText: 'chat' }).first();
  await row.getByRole('button', { name: /Pause/ }).click();
  const paused = async () => (await it.server.call('GET', '/admin/queues', chief)).queues.find((queue) => queue.name === 'chat').is_paused;
  await until('paused', paused);
  await row.getByText('paused').first().waitFor();
  await row.getByRole('button', { name: /Resume/ }).click();
  await until('resumed', async () => !(await paused()));
  await page.getByRole('button', { name: 'Hold' }).click();
  let asked = 0;
  page.on('request', (request) => { if (request.url().includes('/admin/queues')) asked += 1; });
  // Two of its periods: nothing is asked.
  await page.evaluate(() => new Promise((done) => { setTimeout(done, 4_200); }));
  assert.equal(asked, 0);
});

promise('the row under the pointer does not move while the figures change', {}, async ({ open }) => {
  const chief = await admin(it);
  const page = await visit(await open(it.browser, { url: it.server.url, as: chief }), it.server.url, 'operations/queues');
  const rows = page.locator('tbody tr');
  await rows.first().waitFor();
  await rows.nth(1).hover();
  const places = () => rows.evaluateAll((all) => all.map((one) => `${one.querySelector('th')?.textContent} ${Math.round(one.getBoundingClientRect().top)}`));
  const before = await places();
  // What would bring another row to the top: a paused queue with work in it.
  await it.server.call('POST', '/admin/queues/memory/pause', { token: chief.token, body: {} });
  await page.locator('tr', { hasText: 'memory' }).getByText('paused').first().waitFor();
  assert.deepEqual(await places(), before);
  await it.server.call('POST', '/admin/queues/memory/resume', { token: chief.token, body: {} });
});

promise('all dead jobs that match run again, more than a page shows', {}, async ({ open }) => {
  const chief = await admin(it);
  const count = 260;
  const talker = await it.server.account();
  for (let at = 0; at < count; at += 20) {
    await Promise.all(Array.from({ length: 20 }, () => it.server.call('POST', '/chat', { token: talker.token, body: { message: '/fail 500 x1' }, headers: { Prefer: 'respond-async' } })));
  }
  const dead = async () => { let n = 0; let cursor = ''; do { const page = await it.server.call('GET', `/admin/jobs/dead?kind=chat&limit=200${cursor && `&cursor=${cursor}`}`, chief); n += page.items.length; cursor = page.next_cursor; } while (cursor); return n; };
  await until('all are dead', async () => (await dead()) === count, 60_000);
  const page = await visit(await open(it.browser, { url: it.server.url, as: chief }), it.server.url, 'operations/dead');
  await page.selectOption('#dead-kind', 'chat');
  const bodies = [];
  page.on('request', (request) => { if (request.url().endsWith('/dead/retry')) bodies.push(request.postDataJSON()); });
  await page.getByRole('button', { name: `Retry all ${count} that match` }).click();
  await page.getByText(`${count} of ${count} run again.`).first().waitFor();
  assert.deepEqual(bodies, [{ filter: { kind: 'chat' } }], 'the server takes all that match, not a list that may be old');
  await until('none is dead', async () => (await dead()) === 0, 60_000);
});

promise('who is no admin is told so', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url, 'operations/queues');
  await page.getByText('This page is for the admins of this server.').waitFor();
});
