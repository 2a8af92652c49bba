// T4: what one reads does not move by a pixel while 5,000 tokens stream in below, nor when the answer ends.
import assert from 'node:assert/strict';
import { CUT, answered, growing, promise, say, tokens, visit, world } from './harness.mjs';

const it = world();

/** Records, at each frame, where the scroller stands and which line is at its top. */
function watch() {
  const main = document.getElementById('main');
  const { left, top } = main.getBoundingClientRect();
  const lineAt = (x, y) => {
    for (let down = 4; down < 80; down += 4) {
      const range = document.caretRangeFromPoint(x, y + down);
      if (range?.startContainer.nodeType !== 3) continue;
      const text = range.startContainer.data;
      const rect = range.getBoundingClientRect();
      return `${rect.top} ${text.slice(range.startOffset, range.startOffset + 24)}`;
    }
    return 'none';
  };
  const samples = (globalThis.__samples = []);
  const look = () => {
    samples.push({ scroll: main.scrollTop, line: lineAt(left + 60, top), grown: main.scrollHeight });
    globalThis.__frame = requestAnimationFrame(look);
  };
  look();
}

async function unmoved(page, after, least = 20) {
  await answered(page, after, 90_000);
  // Some frames more: what is stored has taken the place of what grew.
  await page.evaluate(() => new Promise((resolve) => { let n = 12; const next = () => (n-- ? requestAnimationFrame(next) : resolve()); next(); }));
  const samples = await page.evaluate(() => { cancelAnimationFrame(globalThis.__frame); return globalThis.__samples; });
  const sizes = new Set(samples.map((one) => one.grown));
  assert.ok(sizes.size >= least, `the page was seen at ${sizes.size} heights`);
  assert.notEqual(samples[0].line, 'none', 'a line at the top');
  const moved = samples.filter((one) => one.scroll !== samples[0].scroll || one.line !== samples[0].line);
  assert.deepEqual(moved.slice(0, 2).map((one, at) => [at, one]), [], `${moved.length} of ${samples.length} frames differ from ${JSON.stringify(samples[0])}`);
}

promise('scrolled up to an earlier answer while 5,000 tokens stream, nothing moves by a pixel', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await say(page, `/echo ${Array.from({ length: 60 }, (_, n) => `Paragraph ${n} with some words of its own.`).join('\n\n')}`);
  await answered(page, 1);
  await say(page, '/delay 1 /tokens 5000');
  await growing(page, 50);
  await page.mouse.move(600, 300);
  await page.mouse.wheel(0, -900);
  await page.waitForFunction(() => { const { scrollTop } = document.getElementById('main'); const same = globalThis.__last === scrollTop; globalThis.__last = scrollTop; return same && scrollTop > 0; }, null, { polling: 120 });
  await page.evaluate(watch);
  await unmoved(page, 2);
});

promise('scrolled into the growing answer itself, nothing moves by a pixel, and following ends with the wheel', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await say(page, `/delay 1 /echo ${Array.from({ length: 300 }, (_, n) => `Line ${n} has five words.${n % 9 ? '' : '\n\n'}`).join(' ')}`);
  await page.getByRole('button', { name: 'New words' }).click();
  await page.waitForFunction(() => document.getElementById('main').scrollTop > 250);
  await page.mouse.move(600, 300);
  await page.mouse.wheel(0, -200);
  await page.waitForFunction(() => { const { scrollTop } = document.getElementById('main'); const same = globalThis.__last === scrollTop; globalThis.__last = scrollTop; return same; }, null, { polling: 120 });
  await page.evaluate(watch);
  await unmoved(page, 1);
});

promise('a new question goes to the top of the view once, and the answer below it does not scroll', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await say(page, '/tokens 700');
  await answered(page, 1);
  await say(page, '/delay 1 /tokens 600');
  await growing(page, 5);
  await page.evaluate(watch);
  const top = await page.evaluate(() => [...document.querySelectorAll('.question')].at(-1).getBoundingClientRect().top - document.getElementById('main').getBoundingClientRect().top);
  assert.ok(top >= -1 && top < 60, `the question is ${top} px below the top`);
  await unmoved(page, 2);
  assert.equal((await page.locator('.answer .text').last().textContent()).trim(), tokens(600));
});

promise('a question that is accepted late, or was written offline, stays where it stood when it was sent', { allow: CUT }, async ({ open }) => {
  const person = await it.server.account();
  const context = await open(it.browser, { url: it.server.url, as: person });
  const page = await visit(context, it.server.url);
  await say(page, `/echo ${Array.from({ length: 40 }, (_, n) => `Paragraph ${n} with some words of its own.`).join('\n\n')}`);
  await answered(page, 1);
  const place = () => page.evaluate(() => {
    const last = [...document.querySelectorAll('.question')].at(-1);
    return Math.round(last.getBoundingClientRect().top - document.getElementById('main').getBoundingClientRect().top);
  });
  const accepted = (words) => page.waitForFunction((text) => [...document.querySelectorAll('.turn .question')].some((one) => one.innerText.includes(text) && !one.closest('.outgoing')), words);
  // Longer than a new question takes to find its place.
  await page.route('**/chat**', async (route) => {
    if (route.request().method() === 'POST') await new Promise((done) => setTimeout(done, 1_200));
    await route.continue();
  });
  await say(page, '/echo late');
  await page.getByText('Sending …').waitFor();
  await page.waitForFunction(() => Math.abs([...document.querySelectorAll('.question')].at(-1).getBoundingClientRect().top - document.getElementById('main').getBoundingClientRect().top - 16) < 2);
  await accepted('late');
  await answered(page, 2);
  assert.equal(await place(), 16);
  await page.unroute('**/chat**');
  await context.setOffline(true);
  await say(page, '/echo offline');
  await page.getByText('Not sent yet').waitFor();
  await context.setOffline(false);
  await accepted('offline');
  await answered(page, 3);
  assert.equal(await place(), 16);
});
