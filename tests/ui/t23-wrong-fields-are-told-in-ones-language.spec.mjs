// T23: what is wrong with a field is told in the reader's language, with its digits; what has no words there, in the API's.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { UI, moduleOf, promise, status, visit, world } from './harness.mjs';

const it = world();
const docs = path.resolve(UI, '../../../docs');
const ENGLISH = /\p{Script=Latin}{3,}/u;
const below = (page, name) => page.locator(`#field-${name}-error`);

async function signUp(open, language, fields) {
  const page = await visit(await open(it.browser, { url: it.server.url, language }), it.server.url, 'welcome/sign-up');
  for (const [name, value] of Object.entries(fields)) await page.fill(`[name=${name}]`, value);
  await page.click('main.welcome button[type=submit]');
  return page;
}

test('every code of a wrong field has words in both languages, with no place that the API does not fill', async (context) => {
  const { FieldCode } = JSON.parse(fs.readFileSync(path.join(docs, 'openapi.json'), 'utf8')).components.schemas;
  const codes = FieldCode.enum.filter((code) => code !== 'other').sort();
  assert.ok(codes.length > 40, codes.join());
  const table = fs.readFileSync(path.join(docs, 'errors.md'), 'utf8').split('## What is wrong with a field')[1];
  for (const language of ['en', 'bn']) {
    const { wrong } = await moduleOf(`words/${language}/wrong.js`, context);
    const named = Object.keys(wrong).filter((key) => key.startsWith('wrong.')).map((key) => key.slice('wrong.'.length));
    assert.deepEqual(named.sort(), codes, language);
    for (const code of codes) {
      const row = table.split('\n').find((line) => line.startsWith(`| \`${code}\` |`));
      for (const [, place] of wrong[`wrong.${code}`].matchAll(/\{(\w+)\}/g)) assert.ok(row.includes(`\`${place}\``), `${language} ${code}: {${place}}`);
      if (language === 'bn') assert.match(wrong[`wrong.${code}`], /\p{Script=Bengali}/u, code);
    }
  }
});

promise('a form in Bengali says below its fields in Bengali what is wrong, and in English once that is chosen', { allow: status(401, 422) }, async ({ open }) => {
  const page = await signUp(open, 'bn', { username: 'a b c', password: 'longenough' });
  await below(page, 'username').waitFor();
  assert.equal(await below(page, 'username').textContent(), '৩ থেকে ৫০ অক্ষরের হতে হবে: একই লিপির অক্ষর, অঙ্ক, “_”, “.” বা “-”');
  assert.equal(await below(page, 'password').textContent(), 'এতে একটি বড় হাতের অক্ষর থাকতে হবে');
  await page.selectOption('.language select', 'en');
  await page.getByText('must contain an upper-case letter').waitFor();
  assert.equal(await below(page, 'username').textContent(), 'must be 3 to 50 letters of one script, digits, `_`, `.` or `-`');
});

promise('what was told in English is told in Bengali once that is chosen', { allow: status(401, 422) }, async ({ open }) => {
  const page = await signUp(open, 'en', { username: 'ana', password: 'Password123' });
  await below(page, 'password').waitFor();
  assert.equal(await below(page, 'password').textContent(), 'is one of the most common passwords: choose another');
  await page.selectOption('.language select', 'bn');
  await page.getByText('খুব চেনা পাসওয়ার্ড: অন্য একটি বেছে নিন').waitFor();
});

promise('a code without words is told as the API says it', { allow: status(401, 422) }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, language: 'bn' }), it.server.url, 'welcome/sign-up');
  const errors = [
    { field: 'username', message: 'must rhyme', code: 'no_rhyme' }, { field: 'email', message: 'must be at most 9 characters', code: 'too_long' },
    { field: 'password', message: 'must be new' },
  ];
  const body = { type: 'about:blank', title: 'Validation failed', status: 422, detail: 'x', code: 'validation_failed', errors };
  await page.route('**/auth/register', (route) => route.fulfill({ status: 422, contentType: 'application/problem+json', body: JSON.stringify(body) }));
  await page.fill('[name=username]', 'ana');
  await page.fill('[name=password]', 'Correct-horse-1');
  await page.click('main.welcome button[type=submit]');
  await below(page, 'username').waitFor();
  for (const { field, message } of errors) assert.equal(await below(page, field).textContent(), message);
});

promise('without the words, in time or at all, the API’s own are shown', { allow: [...status(401, 404, 422), /words\/bn\/wrong/], timeout: 60_000 }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, language: 'bn' }), it.server.url, 'welcome/sign-up');
  await page.route('**/words/bn/wrong.js', () => {});
  await page.fill('[name=username]', 'ana');
  await page.fill('[name=password]', 'longenough');
  await page.click('main.welcome button[type=submit]');
  await page.getByText('must contain an upper-case letter').waitFor();
  await page.unrouteAll({ behavior: 'ignoreErrors' });
});

promise('in Bengali: a project, a template and a file that are refused', { allow: status(422) }, async ({ open }) => {
  const person = await it.server.account();
  const project = await it.server.call('POST', '/projects', { token: person.token, body: { name: 'Travel' } });
  const prompt = await it.server.call('POST', `/projects/${project.id}/prompts`, { token: person.token, body: { name: 'Guide', content: 'You help.' } });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person, language: 'bn' }), it.server.url, `projects`);
  await page.locator('.page .act').first().click();
  await page.fill('dialog [name=name]', 'Own');
  await page.fill('dialog [name=default_model]', 'gpt-4o');
  await page.locator('dialog button[type=submit]').click();
  await below(page, 'default_model').waitFor();
  assert.equal(await below(page, 'default_model').textContent(), 'gpt-4o নামে কোনো মডেল এখানে নেই; আছে mock-1');

  await page.evaluate((address) => { location.hash = address; }, `#/projects/${project.id}/prompts/${prompt.id}`);
  await page.locator('.page textarea').first().fill('One\nYou help {{');
  const told = page.locator('.wrong .error');
  await told.waitFor();
  assert.match(await told.textContent(), /^লাইন ২, কলাম \p{Nd}+: /u);

  await page.evaluate(() => { location.hash = '#/chats'; });
  const file = { name: 'one.json', mimeType: 'application/json', buffer: Buffer.from('{"messages":[{"role":"robot","content":"x"}]}') };
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByText('১ নম্বর বার্তা: “role” এগুলোর একটি হতে হবে: user, assistant।').waitFor();
});

promise('what no field of the form holds is told in Bengali too', { allow: status(401, 422) }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, language: 'bn' }), it.server.url, 'welcome/sign-in');
  const said = await page.evaluate(async () => {
    const { need } = await globalThis.__module('core/i18n.js');
    const { sentence } = await globalThis.__module('core/wrong.js');
    await need('wrong');
    return sentence({ detail: '`x` must be from 0 to 1234', errors: [{ field: 'x', message: 'must be from 0 to 1234', code: 'out_of_range', params: { min: 0, max: 1234 } }] });
  });
  assert.equal(said, '“x” ০ থেকে ১,২৩৪-এর মধ্যে হতে হবে।');
  assert.doesNotMatch(said, ENGLISH);
});
