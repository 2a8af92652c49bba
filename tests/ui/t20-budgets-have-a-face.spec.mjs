// A budget that is spent is said in a sentence, and is not waited for.
import assert from 'node:assert/strict';
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
