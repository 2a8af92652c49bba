// T2: a session that ends while somebody writes takes nothing with it: the draft is there, nobody is signed out, all is sent once.
import assert from 'node:assert/strict';
import { CUT, answered, promise, say, status, until, visit, world } from './harness.mjs';

const it = world({ args: ['--host-resolver-rules=MAP plain.test 127.0.0.1'] });
const turns = async (person) => {
  const { items } = await it.server.call('GET', '/chat/sessions', person);
  const lists = await Promise.all(items.map(({ id }) => it.server.call('GET', `/chat/sessions/${id}/messages`, person)));
  return lists.flatMap(({ messages }) => messages.map((message) => message.content));
};
const draft = (page) => page.inputValue('#composer');
/** Half an hour and more goes by, for the page. */
const later = (page) => page.evaluate(() => { const { now } = Date; Date.now = () => now() + 31 * 60_000; });

promise('the access token ends while one writes: it is renewed unseen, and the message is sent once', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await page.fill('#composer', '/echo still here');
  await later(page);
  await page.press('#composer', 'Enter');
  assert.equal(await answered(page), 'still here');
  assert.equal(await page.locator('dialog').count(), 0);
  assert.deepEqual(await turns(person), ['/echo still here', 'still here']);
});

promise('a token that the server refuses before its time is renewed unseen', { allow: [...CUT, ...status(401)] }, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await page.fill('#composer', '/echo with a new one');
  await it.server.kill9();
  await it.server.start({ SECRET_KEY: 'another-key-than-before-0123456789-abcdefgh' });
  await page.press('#composer', 'Enter');
  assert.equal(await answered(page), 'with a new one');
  assert.equal(await page.locator('dialog').count(), 0);
  await it.server.kill9();
  await it.server.start();
});

promise('signed out elsewhere: sign-in opens over the page, the draft stays, and the message goes out once', { allow: [...CUT, ...status(401)] }, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await page.fill('#composer', '/echo written before');
  await it.server.call('POST', '/auth/logout', { token: person.token, body: { all: true } });
  await page.press('#composer', 'Enter');
  const dialog = page.getByRole('dialog', { name: 'Sign in again' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  assert.ok(await dialog.isVisible(), 'Esc does not throw away what waits behind it');
  await dialog.getByLabel('Password').fill(person.password);
  await page.keyboard.press('Enter');
  assert.equal(await answered(page), 'written before');
  await dialog.waitFor({ state: 'detached' });
  person.token = (await it.server.call('POST', '/auth/login', { body: { username: person.name, password: person.password } })).access_token;
  assert.deepEqual(await turns(person), ['/echo written before', 'written before']);
});

promise('a draft is there after a reload, and in its own chat only', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await say(page, '/echo one');
  await answered(page);
  await page.fill('#composer', 'half a thought');
  await page.reload();
  await page.waitForFunction(() => document.getElementById('composer')?.value === 'half a thought');
  await page.getByRole('link', { name: 'New chat' }).first().click();
  await page.waitForSelector('.first');
  assert.equal(await draft(page), '');
  await page.goBack();
  await page.waitForFunction(() => document.getElementById('composer')?.value === 'half a thought');
});

promise('six tabs that renew at once share one new token, and nobody is signed out', {}, async ({ open }) => {
  const person = await it.server.account();
  const context = await open(it.browser, { url: it.server.url, as: person });
  const tabs = [];
  for (let n = 0; n < 6; n += 1) tabs.push(await visit(context, it.server.url));
  let renewed = 0;
  context.on('request', (request) => { if (request.url().endsWith('/auth/refresh')) renewed += 1; });
  for (const tab of tabs) await later(tab);
  await Promise.all(tabs.map((tab, at) => say(tab, `/echo tab ${at}`)));
  for (const [at, tab] of tabs.entries()) { await tab.bringToFront(); assert.equal(await answered(tab), `tab ${at}`); }
  for (const tab of tabs) assert.equal(await tab.locator('dialog, main.welcome').count(), 0);
  assert.equal(renewed, 1, 'one tab renewed for all');
});

// Browsers say that this header counts over https only.
promise('over plain http a reload stays signed in, and tabs that renew at once too', { allow: [/Cross-Origin-Opener-Policy header has been ignored/] }, async ({ open }) => {
  const url = it.server.url.replace('127.0.0.1', 'plain.test');
  const context = await open(it.browser, { url });
  const page = await visit(context, url, 'welcome/sign-up');
  assert.equal(await page.evaluate(() => isSecureContext), false, 'not a place that browsers trust');
  await page.getByLabel('Name').fill('plain-person');
  await page.getByLabel('Password').fill('Correct-horse-1');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#composer');
  await page.reload();
  await page.waitForSelector('#composer');
  const other = await visit(context, url);
  await Promise.all([page, other].map(later));
  await Promise.all([say(page, '/echo a'), say(other, '/echo b')]);
  assert.deepEqual([await answered(page), await answered(other)], ['a', 'b']);
  assert.equal((await context.cookies()).filter((cookie) => cookie.httpOnly && cookie.sameSite === 'Strict').length, 1);
  await until('no token in storage', () => page.evaluate(() => !/eyJ/.test(JSON.stringify({ ...localStorage, ...sessionStorage }))));
});
