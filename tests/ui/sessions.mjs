// T2, wherever the pages are mounted: a session that ends while somebody writes takes nothing with it.
import assert from 'node:assert/strict';
import { CUT, Proxy, answered, promise, say, status, visit } from './harness.mjs';

const turns = async (it, person) => {
  const { items } = await it.server.call('GET', '/chat/sessions', person);
  const lists = await Promise.all(items.map(({ id }) => it.server.call('GET', `/chat/sessions/${id}/messages`, person)));
  return lists.flatMap(({ messages }) => messages.map((message) => message.content));
};
const draft = (page) => page.inputValue('#composer');
/** Half an hour and more goes by, for the page. */
export const later = (page) => page.evaluate(() => { const { now } = Date; Date.now = () => now() + 31 * 60_000; });

/** A page on a new chat, below a prefix. */
async function opened(it, prefix, open, person) {
  // Without one there is nothing between the page and the server.
  const { url } = prefix === '/' ? it.server : await new Proxy(it.server.url, prefix).start();
  const context = await open(it.browser, { url, as: person });
  return { url, context, page: await visit(context, url) };
}

export function nothingIsLost(it, prefix = '/') {
  promise('the access token ends while one writes: it is renewed unseen, and the message is sent once', {}, async ({ open }) => {
    const person = await it.server.account();
    const { page } = await opened(it, prefix, open, person);
    await page.fill('#composer', '/echo still here');
    await later(page);
    await page.press('#composer', 'Enter');
    assert.equal(await answered(page), 'still here');
    assert.equal(await page.locator('dialog').count(), 0);
    assert.deepEqual(await turns(it, person), ['/echo still here', 'still here']);
  });

  promise('a token that the server refuses before its time is renewed unseen', { allow: [...CUT, ...status(401)] }, async ({ open }) => {
    const person = await it.server.account();
    const { page } = await opened(it, prefix, open, person);
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
    const { page } = await opened(it, prefix, open, person);
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
    assert.deepEqual(await turns(it, person), ['/echo written before', 'written before']);
  });

  promise('a draft is there after a reload, and in its own chat only', {}, async ({ open }) => {
    const person = await it.server.account();
    const { page } = await opened(it, prefix, open, person);
    await say(page, '/echo one');
    await answered(page);
    // Reloaded in the same breath: what was written is kept before the page hears of it.
    await Promise.all([page.waitForEvent('load'), page.evaluate(() => {
      const box = document.getElementById('composer');
      Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(box, 'half a thought');
      box.dispatchEvent(new InputEvent('input', { bubbles: true }));
      location.reload();
    })]);
    await page.waitForFunction(() => document.getElementById('composer')?.value === 'half a thought');
    await page.getByRole('link', { name: 'New chat' }).first().click();
    await page.waitForSelector('.first');
    assert.equal(await draft(page), '');
    await page.goBack();
    await page.waitForFunction(() => document.getElementById('composer')?.value === 'half a thought');
  });

  promise('six tabs that renew at once share one new token, and nobody is signed out', {}, async ({ open }) => {
    const person = await it.server.account();
    const { page: first, context, url } = await opened(it, prefix, open, person);
    const tabs = [first];
    for (let n = 1; n < 6; n += 1) tabs.push(await visit(context, url));
    let renewed = 0;
    context.on('request', (request) => { if (request.url().endsWith('/auth/refresh')) renewed += 1; });
    for (const tab of tabs) await later(tab);
    await Promise.all(tabs.map((tab, at) => say(tab, `/echo tab ${at}`)));
    for (const [at, tab] of tabs.entries()) { await tab.bringToFront(); assert.equal(await answered(tab), `tab ${at}`); }
    for (const tab of tabs) assert.equal(await tab.locator('dialog, main.welcome').count(), 0);
    assert.equal(renewed, 1, 'one tab renewed for all');
  });
}
