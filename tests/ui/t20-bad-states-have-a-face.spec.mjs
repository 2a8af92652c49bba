// Bad states have a face: a provider that fails, a queue that is full, a message that is too long, an
// upgraded server, no network.
import assert from 'node:assert/strict';
import { CUT, answered, promise, say, status, until, visit, world } from './harness.mjs';

const it = world({ env: { QUEUE__MAX_ATTEMPTS: '1' } });
const here = async (open, at = 'chat') => {
  const person = await it.server.account();
  const context = await open(it.browser, { url: it.server.url, as: person });
  return { person, context, page: await visit(context, it.server.url, at) };
};

promise('a failed answer says why, and is tried again', { allow: status(500, 502, 503) }, async ({ open }) => {
  const { page } = await here(open);
  await say(page, '/fail 500 x1 /echo and now');
  await page.locator('.answer .problem').waitFor();
  assert.ok((await page.locator('.answer .problem p').textContent()).trim().length > 10, 'a sentence');
  await page.locator('.answer .problem summary').click();
  assert.match(await page.locator('.answer .problem code').textContent(), /\w+/);
  await page.locator('.answer .problem').getByRole('button', { name: 'Try again' }).click();
  await page.locator('.answer .text', { hasText: 'and now' }).waitFor();
});

promise('a full queue is said, and the message goes out when there is room', { allow: status(503) }, async ({ open }) => {
  const { page, context } = await here(open);
  let full = true;
  await context.route('**/chat/stream', (route) => (full ? route.fulfill({ status: 503, contentType: 'application/problem+json', headers: { 'retry-after': '1' },
    body: JSON.stringify({ type: 'about:blank', title: 'Overloaded', status: 503, code: 'overloaded', detail: 'Too busy to do this in time.', request_id: 'req_1' }) }) : route.continue()));
  await say(page, '/echo there was room');
  await page.locator('.outgoing').getByText('Too busy to do this in time.').waitFor();
  full = false;
  assert.equal((await answered(page)).trim(), 'there was room');
});

promise('a message that is too long cannot be sent, and says by how much', {}, async ({ open }) => {
  const { page } = await here(open);
  await page.fill('#composer', 'x'.repeat(32_005));
  await page.getByText('-5 characters left').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
});

promise('an upgraded server is noticed, and the draft is there after loading anew', {}, async ({ open }) => {
  const { page, context } = await here(open);
  await page.fill('#composer', 'not sent yet');
  let version = { 'x-rapport-ui': 'newer' };
  await context.route('**/ui/boot', async (route) => { const response = await route.fetch(); await route.fulfill({ response, headers: { ...response.headers(), ...version } }); });
  await page.evaluate(async () => { await (await __module('api/client.js')).get('boot'); });
  await page.getByText('A new version is here.').waitFor();
  version = {};
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.waitForSelector('#composer');
  await until('the draft', async () => (await page.inputValue('#composer')) === 'not sent yet');
});

promise('without a network the page says so, and what is written waits', { allow: CUT }, async ({ open }) => {
  const { page, context } = await here(open);
  await context.setOffline(true);
  await page.getByText('You are offline.').waitFor();
  await say(page, '/echo back again');
  await page.locator('.outgoing').waitFor();
  await context.setOffline(false);
  assert.equal((await answered(page)).trim(), 'back again');
});
