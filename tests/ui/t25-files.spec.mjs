// T25: files are sent, read, searched and deleted; a chat is given some, and its answers say on which words they rest.
import assert from 'node:assert/strict';
import { CUT, answered, promise, say, status, visit, world } from './harness.mjs';

const it = world();
const TEXT = `# Manual\n\nThe quince pump starts at 40 degrees.\n\n${'Nothing of note stands here. '.repeat(30)}\n\n# Stopping\n\nThe quince pump stops when the tank is full, says <img src=x onerror=alert(1)>.\n`;
const file = (name, text) => ({ name, mimeType: 'text/markdown', buffer: Buffer.from(text) });

promise('a file is sent, read, searched, saved and deleted', { allow: status(415) }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url, 'files');
  const input = page.locator('.page input[type=file]');
  await input.setInputFiles([file('pump <b>.md', TEXT), { name: 'app.exe', mimeType: 'text/plain', buffer: Buffer.from('\x7fELF\x02\x01\x01\0\0\0\0\0\0') }]);
  const row = page.getByRole('row', { name: /pump <b>\.md/ });
  await row.getByText(/\d passages?/).waitFor();
  await page.getByRole('alert').getByText('none of the kinds of files').waitFor();
  await page.getByLabel('Search in files').fill('When does the pump stop?');
  await page.keyboard.press('Enter');
  await page.locator('.passage', { hasText: 'The quince pump stops when the tank is full' }).waitFor();
  assert.equal(await page.locator('.passage img').count(), 0);
  await page.getByLabel('Search in files').fill('');
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Download pump/ }).click();
  assert.equal((await saved).suggestedFilename(), 'pump <b>.md'.replace(/[<>]/g, '_'));
  await page.getByRole('button', { name: /^Delete pump/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('No files yet.').waitFor();
});

promise('a large file goes in pieces, and on where a broken line left it', { allow: [...CUT, ...status(409)] }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url, 'files');
  let pieces = 0;
  await page.route('**/files/uploads/**', async (route) => {
    if (route.request().method() !== 'PATCH') return route.continue();
    pieces += 1;
    // The second piece arrives, and its answer does not.
    if (pieces !== 2) return route.continue();
    await route.fetch();
    return route.abort('connectionreset');
  });
  const large = Buffer.alloc(20 * 1_048_576, 'a line of words that says little\n');
  large.write('# Large\n\nThe medlar is ripe in November.\n\n');
  await page.locator('.page input[type=file]').setInputFiles({ name: 'large.md', mimeType: 'text/markdown', buffer: large });
  const row = page.getByRole('row', { name: /large\.md/ });
  await row.getByText(/21 MB/).waitFor();
  assert.equal(pieces, 4, 'three pieces, one of them twice');
});

promise('a new chat is given a file; its answer quotes the words it rests on; taken away, it does not', {}, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url, 'chat');
  await page.locator('#composer').fill('When does the quince pump stop?');
  await page.locator('.composer').getByRole('button', { name: 'Files' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('input[type=file]').setInputFiles(file('pump.md', TEXT));
  await dialog.getByLabel('pump.md').waitFor();
  await page.waitForFunction(() => document.querySelector('dialog input[type=checkbox]')?.checked);
  await page.waitForFunction(() => !document.querySelector('dialog .files-pick .tag'));
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.locator('.composer').getByRole('button', { name: '1 file' }).waitFor();
  assert.equal(await page.locator('#composer').inputValue(), 'When does the quince pump stop?', 'what was written stays');
  await page.keyboard.press('Escape');
  await page.locator('#composer').press('Enter');
  await answered(page, 1);
  await page.getByText('1 source', { exact: true }).click();
  const source = page.locator('.sources li').first();
  await source.getByText('pump.md').waitFor();
  assert.match(await source.locator('blockquote').textContent(), /The quince pump stops when the tank is full/);
  assert.equal(await source.locator('img').count(), 0);
  await page.reload();
  await page.getByText('1 source', { exact: true }).waitFor();
  await page.locator('.composer').getByRole('button', { name: '1 file' }).click();
  await page.getByRole('dialog').getByLabel('pump.md').uncheck();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.locator('.composer').getByRole('button', { name: 'Files' }).waitFor();
  await say(page, 'And when does the quince pump stop now?');
  await answered(page, 2);
  assert.equal(await page.locator('.sources').count(), 1);
});

/** One red pixel. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==', 'base64');

promise('an image goes with a message to a model that sees, and is shown with it until it is deleted', { allow: status(422) }, async ({ open }) => {
  const person = await it.server.account();
  const { token } = person;
  await it.server.call('PATCH', '/settings', { token, body: { chat_settings: { default_provider: 'mock', default_model: 'mock-sees' } } });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url, 'chat');
  await page.locator('.composer').getByRole('button', { name: 'Files' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('input[type=file]').setInputFiles({ name: 'red <b>.png', mimeType: 'text/plain', buffer: PIXEL });
  await page.waitForFunction(() => document.querySelector('dialog input[type=checkbox]')?.checked);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.locator('.composer').getByRole('button', { name: 'Take red <b>.png out' }).click();
  await page.locator('.chosen').waitFor({ state: 'detached' });
  await page.locator('.composer').getByRole('button', { name: 'Files' }).click();
  await dialog.getByLabel('red <b>.png').check();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await say(page, '/images');
  assert.match(await answered(page, 1), /^turn 1: image\/png of 70 bytes$/);
  await page.locator('.chosen').waitFor({ state: 'detached' });
  await page.reload();
  const picture = page.locator('.question').getByRole('button', { name: 'Show red <b>.png' });
  await page.waitForFunction(() => document.querySelector('.picture img')?.naturalWidth === 1);
  await picture.click();
  await page.waitForFunction(() => document.querySelector('dialog img.whole')?.naturalWidth === 1);
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.locator('.composer').getByRole('button', { name: 'Files' }).click();
  await dialog.getByLabel('red <b>.png').check();
  await dialog.getByRole('button', { name: 'Close' }).click();
  const [{ id }] = (await it.server.call('GET', '/files', { token })).items;
  await it.server.call('DELETE', `/files/${id}`, { token });
  // Refused with it, a message comes back with it.
  await say(page, 'and now?');
  await page.locator('.outgoing').getByRole('button', { name: 'Back into the box' }).click();
  await page.locator('.composer').getByRole('button', { name: 'Take red <b>.png out' }).waitFor();
  assert.equal(await page.inputValue('#composer'), 'and now?');
  await page.reload();
  await page.locator('.question').getByText('Deleted image').waitFor();
});
