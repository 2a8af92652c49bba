// A budget that is spent is said in a sentence, and is not waited for.
import assert from 'node:assert/strict';
import { SPENT, failing } from './failing.mjs';
import { promise, say, status, visit, world } from './harness.mjs';

const it = world({ env: { QUOTA__DAILY_TOKENS: '300' } });

promise('a budget that is spent is said, with its code, and nothing counts down to tomorrow', { allow: status(429) }, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  for (let n = 0; n < 6 && !(await page.locator('.problem').count()); n += 1) {
    await say(page, '/tokens 150');
    await page.waitForFunction((count) => document.querySelector('.problem') || (document.querySelectorAll('.answer').length > count && !document.querySelector('.answer.live, .outgoing')), n);
  }
  const problem = page.locator('.problem').first();
  await page.waitForFunction(() => !document.querySelector('.answer.live') && /budget_spent/.test(document.querySelector('.problem code')?.textContent) && /budget/i.test(document.querySelector('.problem p').textContent));
  assert.doesNotMatch(await problem.textContent(), /Trying again in/);
});

promise('a message that a spent budget keeps out is kept, says so, and is not sent again by itself', { allow: status(429) }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url);
  const set = await failing(page);
  let sent = 0;
  set({ fails: /^POST \/chat\/stream/, answer: (route) => { sent += 1; return route.fulfill(SPENT); } });
  await say(page, '/echo tomorrow then');
  await page.locator('.outgoing .problem', { hasText: 'The budget of this day is spent' }).waitFor();
  assert.doesNotMatch(await page.locator('.outgoing').textContent(), /Trying again in/);
  set();
  await page.locator('.outgoing').getByRole('button', { name: 'Try again' }).click();
  // Now it is part of the conversation (and this day's budget, which is small, is the answer's matter).
  await page.locator('.question:not(.outgoing)', { hasText: 'tomorrow then' }).waitFor();
  assert.equal(sent, 1);
});
