// Bad states have a face: a provider that fails, a queue that is full, a message or a file that is too long, an
// upgraded server, no network, another tab; and whatever else fails. (T2 has the session that ends while one writes.)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { FULL, INTERNAL, failing } from './failing.mjs';
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

promise('a dead job is said again after a reload, and can be tried again', { allow: status(502) }, async ({ open }) => {
  const { page } = await here(open);
  await say(page, '/fail 500 x1 /echo later');
  await page.locator('.answer .problem').waitFor();
  await page.reload();
  await page.locator('.answer .problem p').waitFor();
  await page.locator('.answer .problem').getByRole('button', { name: 'Try again' }).click();
  await page.locator('.answer:not(.live) .text', { hasText: 'later' }).waitFor();
});

promise('a message that something on the way finds too large is kept, says why, and comes back into the box', { allow: status(413) }, async ({ open }) => {
  const { page, context } = await here(open);
  await context.route('**/chat/stream', (route) => route.fulfill({ status: 413, contentType: 'text/html', body: '<h1>Request Entity Too Large</h1>' }));
  await say(page, 'a long story');
  const problem = page.locator('.outgoing .problem');
  await problem.waitFor();
  assert.ok((await problem.locator('p').textContent()).trim().length > 10, 'a sentence');
  await problem.locator('summary').click();
  assert.match(await problem.locator('code').textContent(), /413/);
  await page.locator('.outgoing').getByRole('button', { name: 'Back into the box' }).click();
  await until('the words are in the box', async () => (await page.inputValue('#composer')) === 'a long story');
  assert.equal(await page.locator('.outgoing').count(), 0);
});

promise('a file that is too large to import is named, with the reason', { allow: status(413) }, async ({ open }) => {
  const { page } = await here(open);
  await page.evaluate(() => { location.hash = '#/chats'; });
  const file = JSON.stringify({ messages: [{ role: 'user', content: 'x'.repeat(33 * 1_024 * 1_024) }] });
  await page.locator('input[type=file]').setInputFiles({ name: 'huge.json', mimeType: 'application/json', buffer: Buffer.from(file) });
  await page.locator('.import-results').getByText('The body is larger than').waitFor();
  assert.match(await page.locator('.import-results').textContent(), /huge\.json/);
});

promise('a file of another service is taken in, and what could not be read is said', {}, async ({ open }) => {
  const { page } = await here(open);
  await page.evaluate(() => { location.hash = '#/chats'; });
  const file = fs.readFileSync(new URL('../exports/chatgpt.json', import.meta.url));
  const input = page.locator('input[type=file]');
  await page.getByLabel('Find memories in them').uncheck();
  const sent = page.waitForRequest((request) => request.url().includes('/sessions/import'));
  await input.setInputFiles({ name: 'conversations.json', mimeType: 'application/json', buffer: file });
  assert.equal(new URL((await sent).url()).searchParams.get('extract'), 'false');
  const results = page.locator('.import-results');
  await results.getByText('1 new chat with 5 messages, 2 other ways; 0 were here already.').waitFor();
  await results.getByText('number 2 has no message with words in it').waitFor();
  await page.locator('.chats-page').getByText('Trip to Dhaka').first().waitFor();
  await input.setInputFiles({ name: 'again.json', mimeType: 'application/json', buffer: file });
  await results.getByText('0 new chats with 0 messages, 0 other ways; 1 were here already.').waitFor();
  await input.setInputFiles({ name: 'broken.json', mimeType: 'application/json', buffer: Buffer.from('[{"mapping": {}}, {"mapping": 7}]') });
  await results.getByText('2 chats could not be read').waitFor();
});

promise('in two tabs the same answer grows; and when one signs out, the other shows nothing more', { allow: status(401) }, async ({ open }) => {
  const { page, context } = await here(open);
  await say(page, '/echo first');
  await answered(page);
  const other = await visit(context, it.server.url, new URL(page.url()).hash.slice(2));
  await answered(other);
  await say(page, '/delay 30 /tokens 60');
  await other.locator('.answer.live').waitFor();
  await Promise.all([page, other].map((tab) => tab.waitForFunction(() => !document.querySelector('.answer.live') && document.querySelectorAll('.answer').length === 2)));
  assert.equal(await other.locator('.answer .text').last().textContent(), await page.locator('.answer .text').last().textContent());
  await page.bringToFront();
  await page.evaluate(() => { location.hash = '#/account'; });
  await page.getByRole('button', { name: 'Sign out here' }).click();
  await Promise.all([page, other].map((tab) => tab.locator('main.welcome').waitFor()));
});

promise('a screen that fails for a moment counts down and tries again by itself', { allow: status(503) }, async ({ open }) => {
  const { page } = await here(open);
  const set = await failing(page);
  set({ fails: /^GET \/api-keys/, answer: { ...FULL, headers: { 'retry-after': '2' } } });
  await page.evaluate(() => { location.hash = '#/keys'; });
  await page.locator('.problem', { hasText: /Too busy to do this in time\..*Trying again in \d second/ }).waitFor();
  set();
  await page.getByText('No keys yet').waitFor();
});

promise('what fails where no part has a place for it is told in a notice', { allow: status(500) }, async ({ open }) => {
  const { page } = await here(open);
  const set = await failing(page);
  await say(page, '/delay 50 /tokens 400');
  await page.locator('.answer.live').waitFor();
  set({ fails: /cancel$/, answer: INTERNAL });
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.toast', { hasText: 'A fault of ours.' }).waitFor();
  set();
  await page.getByRole('button', { name: 'Stop' }).click();
  await answered(page);
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

promise('a screen that comes in the background in the moment it is opened is drawn', {}, async ({ open }) => {
  const { page, context } = await here(open);
  let come;
  const asked = new Promise((asked) => {
    context.route('**/screens/memory/index.js', async (route) => {
      const response = await route.fetch();
      await new Promise((released) => { come = released; asked(); });
      await route.fulfill({ response });
    });
  });
  await asked;
  // What is done after a drawing waits until the screen is there.
  await page.evaluate(() => {
    const { setTimeout: soon } = globalThis;
    globalThis.requestAnimationFrame = (then) => soon(() => then(performance.now()), 1_500);
    globalThis.setTimeout = (then, millis = 0, ...rest) => soon(then, millis > 0 && millis <= 100 ? 1_500 : millis, ...rest);
    location.hash = '#/memory/review';
  });
  await page.locator('main', { hasText: 'Loading …' }).waitFor();
  come();
  await page.locator('main .page').waitFor();
});
