// T16: an account from its first form to its end: sign up, the code from the outbox, a reset, everything as a file, deletion.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { promise, status, until, visit, world } from './harness.mjs';

const it = world();

/** The newest mail in the outbox that holds what is looked for. */
const mail = (to, pattern) => until(`a mail to ${to}`, () => {
  const outbox = path.join(it.server.dir, 'data/outbox');
  const mails = fs.readdirSync(outbox).map((name) => path.join(outbox, name)).sort((a, b) => fs.statSync(a).mtimeMs - fs.statSync(b).mtimeMs);
  for (const file of mails.reverse()) {
    const [text] = fs.readFileSync(file, 'utf8').split('Content-Type: text/html');
    const found = text.includes(to) && pattern.exec(text);
    if (found) return found[1];
  }
  return null;
}, 20_000);

promise('sign up, verify, forget the password, reset it, take everything along, delete the account', { allow: status(401, 404) }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url }), it.server.url, 'welcome/sign-up');
  const email = 'ana@example.com';
  await page.fill('[name=username]', 'ana');
  await page.fill('[name=email]', email);
  await page.fill('[name=password]', 'Correct-horse-1');
  await page.click('main.welcome button[type=submit]');
  await page.waitForSelector('#composer');

  await page.evaluate(() => { location.hash = '#/account'; });
  await page.getByRole('button', { name: 'Verify it' }).click();
  await page.getByRole('button', { name: 'Send a code' }).click();
  const otp = await mail(email, /^ {4}(\d{6})\r?$/m);
  await page.fill('[name=otp]', otp);
  await page.getByRole('button', { name: 'Check the code' }).click();
  const login = async (password) => (await it.server.call('POST', '/auth/login', { body: { username: 'ana', password } }));
  await until('verified', async () => (await login('Correct-horse-1')).user.is_verified);

  await page.getByRole('button', { name: 'Sign out here' }).click();
  await page.waitForSelector('main.welcome');
  await page.evaluate(() => { location.hash = '#/welcome/forgot'; });
  await page.fill('[name=email]', email);
  await page.getByRole('button', { name: 'Send me a mail' }).click();
  await page.getByRole('button', { name: 'I have the code' }).click();
  const token = await mail(email, /^ {4}([^\s]{20,})\r?$/m);
  await page.fill('[name=email]', email);
  await page.fill('[name=token]', token);
  await page.fill('[name=password]', 'Another-horse-2');
  await page.getByRole('button', { name: 'Set the password' }).click();
  await page.getByText('The new password is set.').waitFor();
  await page.evaluate(() => { location.hash = '#/welcome/sign-in'; });
  await page.fill('[name=username]', 'ana');
  await page.fill('[name=password]', 'Another-horse-2');
  await page.click('main.welcome button[type=submit]');
  await page.waitForSelector('#main');

  await page.evaluate(() => { location.hash = '#/account'; });
  await page.getByRole('button', { name: 'Make the archive' }).click();
  const coming = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download' }).click();
  const bytes = fs.readFileSync(await (await coming).path());
  assert.equal(bytes.subarray(0, 2).toString(), 'PK', 'a ZIP archive');

  await page.getByRole('button', { name: 'Delete the account' }).click();
  await page.fill('[name=end-password]', 'Another-horse-2');
  await page.locator('dialog').getByRole('button', { name: 'Delete the account' }).click();
  await page.waitForSelector('main.welcome');
  await assert.rejects(login('Another-horse-2'), /401/);
});

promise('a wrong password is told at its field, and the field has the focus', { allow: status(401, 403, 422) }, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url, 'account');
  await page.fill('[name=current-password]', 'Wrong-horse-1');
  await page.fill('[name=new-password]', 'Another-horse-2');
  await page.locator('form', { has: page.locator('[name=new-password]') }).locator('button[type=submit]').click();
  await page.waitForSelector('[name=current-password][aria-invalid=true]');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'current-password');
});
