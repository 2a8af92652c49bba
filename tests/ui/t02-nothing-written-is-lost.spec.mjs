// T2: a session that ends while somebody writes takes nothing with it: the draft is there, nobody is signed out, all is sent once.
import assert from 'node:assert/strict';
import { INSECURE, PLAIN, PLAIN_HOST, answered, promise, say, until, visit, world } from './harness.mjs';
import { later, nothingIsLost } from './sessions.mjs';

const it = world(PLAIN);
nothingIsLost(it);

promise('over plain http a reload stays signed in, and tabs that renew at once too', { allow: INSECURE }, async ({ open }) => {
  const url = it.server.url.replace('127.0.0.1', PLAIN_HOST);
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

promise('a new chat has its address as soon as it is stored, however slow the browser is with drafts', {}, async ({ open }) => {
  const person = await it.server.account();
  const context = await open(it.browser, { url: it.server.url, as: person });
  await context.addInitScript(() => {
    const slow = (write) => function later(...given) {
      const request = write.apply(this, given);
      Object.defineProperty(this.transaction, 'oncomplete', { set: (told) => this.transaction.addEventListener('complete', () => setTimeout(told, 3_000)) });
      return request;
    };
    IDBObjectStore.prototype.delete = slow(IDBObjectStore.prototype.delete);
  });
  const page = await visit(context, it.server.url);
  await say(page, '/echo kept');
  await page.locator('.answer .text', { hasText: 'kept' }).waitFor();
  await page.reload();
  assert.equal(await answered(page), 'kept');
});
