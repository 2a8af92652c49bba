// T24: a program that sent its user here is let in, or not: after signing in, by its name as text, with what it may do, and never in a frame.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { promise, status, visit, world } from './harness.mjs';

const it = world();
const REDIRECT = 'http://127.0.0.1:1/callback';
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const NAME = '<img src=x onerror=alert(1)> Lute';

/** The address that a program which just registered sends its user to. */
async function address(scope = 'memory chat') {
  const metadata = { client_name: NAME, redirect_uris: [REDIRECT] };
  const made = await fetch(`${it.server.url}register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(metadata) });
  const { client_id } = await made.json();
  const challenge = createHash('sha256').update(VERIFIER).digest('base64url');
  const query = { client_id, redirect_uri: REDIRECT, response_type: 'code', state: 'st&te', scope, code_challenge: challenge, code_challenge_method: 'S256' };
  return { client_id, url: `${it.server.url}authorize?${new URLSearchParams(query)}` };
}

/** Follows the browser to the program's address, where nobody listens in this test. */
async function answered(page, act) {
  await page.route(`${REDIRECT}*`, (route) => route.fulfill({ contentType: 'text/plain', body: 'back' }));
  const back = page.waitForURL((url) => url.href.startsWith(REDIRECT));
  await act();
  await back;
  return new URL(page.url()).searchParams;
}

promise('who is not signed in signs up on the way, and lets it in', { allow: [...status(401), /127\.0\.0\.1:1\//] }, async ({ open }) => {
  const { client_id, url } = await address();
  const context = await open(it.browser, { url: it.server.url });
  const page = await context.newPage();
  await page.goto(url);
  const link = page.getByRole('link', { name: 'Make an account' });
  await page.waitForSelector('main.welcome');
  if (await link.count()) await link.click();
  await page.fill('[name=username]', 'lutist');
  await page.fill('[name=password]', 'Correct-horse-1');
  await page.click('main.welcome button[type=submit]');
  await page.getByRole('heading', { name: NAME }).waitFor();
  assert.deepEqual(await page.locator('.card li').allTextContents(), ['Memories: read, add, confirm and delete them', 'Chats: read them, and send messages']);
  assert.equal(await page.locator('.card code').textContent(), '127.0.0.1:1');
  assert.equal(await page.locator('.card img').count(), 0);
  const said = await answered(page, () => page.getByRole('button', { name: 'Let it in' }).click());
  assert.equal(said.get('state'), 'st&te');
  assert.equal(said.get('iss'), it.server.url.replace(/\/$/, ''));
  const form = new URLSearchParams({ grant_type: 'authorization_code', client_id, code: said.get('code'), redirect_uri: REDIRECT, code_verifier: VERIFIER });
  const tokens = await (await fetch(`${it.server.url}token`, { method: 'POST', body: form })).json();
  assert.equal(tokens.scope, 'memory chat');
  // It is listed among the keys, and ends there.
  const keys = await visit(context, it.server.url, 'keys');
  await keys.getByText('signed in by itself').waitFor();
  await keys.getByRole('button', { name: `Delete ${NAME}` }).click();
  await keys.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await keys.getByText('No keys yet.').waitFor();
  const mcp = await fetch(`${it.server.url}mcp`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.access_token}` }, body: '{}' });
  assert.equal(mcp.status, 401);
});

promise('it is refused, and one that asks for what nobody gives goes back with that', { allow: [...status(401), /127\.0\.0\.1:1\//] }, async ({ open }) => {
  await it.server.call('POST', '/auth/register', { body: { username: 'violist', password: 'Correct-horse-1' } });
  const context = await open(it.browser, { url: it.server.url });
  const page = await context.newPage();
  await page.goto((await address('memory')).url);
  await page.fill('[name=username]', 'violist');
  await page.fill('[name=password]', 'Correct-horse-1');
  await page.click('main.welcome button[type=submit]');
  const refused = await answered(page, () => page.getByRole('button', { name: 'Refuse' }).click());
  assert.deepEqual([refused.get('error'), refused.get('state'), refused.get('code')], ['access_denied', 'st&te', null]);
  await page.goto((await address('admin')).url);
  assert.equal(await page.getByRole('button', { name: 'Let it in' }).count(), 0);
  const back = await answered(page, () => page.getByRole('button', { name: 'Back to the program' }).click());
  assert.equal(back.get('error'), 'invalid_scope');
});
