// T1 and T3, wherever the pages are mounted: no token is lost or doubled, and stopping stops.
import assert from 'node:assert/strict';
import { CUT, INSECURE, Proxy, answered, growing, promise, say, status, tokens, until, visit } from './harness.mjs';

const LONG = '/delay 12 /tokens 160';
const WHOLE = tokens(160);

/** A person, a proxy to the server, and a page on a new chat. */
async function scene(it, { prefix, host }, open) {
  const person = await it.server.account();
  const proxy = await new Proxy(it.server.url, prefix, host).start();
  const context = await open(it.browser, { url: proxy.url, as: person, record: true });
  return { person, proxy, context, page: await visit(context, proxy.url) };
}

/** What the server keeps of the only chat of a person. */
async function stored(it, person) {
  const { items } = await it.server.call('GET', '/chat/sessions', person);
  assert.equal(items.length, 1, 'one chat');
  const { messages } = await it.server.call('GET', `/chat/sessions/${items[0].id}/messages`, person);
  return messages;
}

/** At every moment a growing answer was a beginning of the whole one; and it was seen growing. */
async function onlyBeginnings(page, whole, { atLeast = 5 } = {}) {
  const seen = await page.evaluate(() => globalThis.__live);
  for (const text of seen) assert.ok(whole.startsWith(text.trimEnd()), `shown in mid-answer: …${text.slice(-80)}`);
  assert.ok(seen.length >= atLeast, `seen growing ${seen.length} times`);
  return seen;
}

async function endsWhole(it, person, page, whole, { questions = 1 } = {}) {
  assert.equal((await answered(page, 1)).trim(), whole);
  assert.equal(await page.locator('.answer').count(), questions, 'answers on the page');
  assert.equal(await page.locator('.question').count(), questions, 'questions on the page');
  const messages = await stored(it, person);
  assert.deepEqual(messages.map((message) => message.role), Array(questions).fill(['user', 'assistant']).flat());
  assert.equal(messages.at(-1).content, whole, "the server's reply");
}

export function wholeAnswers(it, { prefix = '/', host } = {}) {
  const where = { prefix, host };
  const PLAIN = host ? INSECURE : [];
  promise('a reload in mid-answer loses no token and doubles none', { allow: PLAIN }, async ({ open }) => {
    const { person, page } = await scene(it, where, open);
    await say(page, LONG);
    let seen = 0;
    for (const words of [30, 60]) {
      await growing(page, words);
      seen += (await onlyBeginnings(page, WHOLE, { atLeast: 0 })).length;
      await page.reload();
    }
    await endsWhole(it, person, page, WHOLE);
    seen += (await onlyBeginnings(page, WHOLE, { atLeast: 0 })).length;
    assert.ok(seen >= 5, `seen growing ${seen} times`);
  });

  promise('a network cut in mid-answer, in the middle of an event, loses no token and doubles none', { allow: [...PLAIN, ...CUT] }, async ({ open }) => {
    const { person, page, proxy } = await scene(it, where, open);
    await say(page, LONG);
    await growing(page, 30);
    await proxy.cut({ torn: true });
    await page.waitForSelector('.answer.live .state');
    const before = (await page.evaluate(() => globalThis.__live)).length;
    await proxy.mend();
    await endsWhole(it, person, page, WHOLE);
    const seen = await onlyBeginnings(page, WHOLE);
    assert.ok(seen.length > before, 'it went on growing after the cut');
    await proxy.stop();
  });

  promise('kill -9 of the server in mid-answer: the answer is whole once it is back', { allow: [...PLAIN, ...CUT, ...status(502, 503)] }, async ({ open }) => {
    const { person, page } = await scene(it, where, open);
    await say(page, LONG);
    await growing(page, 30);
    await it.server.kill9();
    await it.server.start();
    await endsWhole(it, person, page, WHOLE);
    await onlyBeginnings(page, WHOLE);
  });

  promise('a message whose answer is lost on the way is stored once, and answered once', { allow: [...PLAIN, ...CUT] }, async ({ open }) => {
    const { person, page, proxy } = await scene(it, where, open);
    const lost = proxy.lose(/chat\/stream/);
    await say(page, '/echo only once');
    await lost;
    await endsWhole(it, person, page, 'only once');
    assert.equal(proxy.requests.filter((one) => one.includes('/chat/stream')).length, 2, 'sent again');
  });

  promise('a message sent into a dead network goes out once the network is back, even after a reload', { allow: [...PLAIN, ...CUT] }, async ({ open }) => {
    const { person, page, proxy, context } = await scene(it, where, open);
    await proxy.cut();
    await say(page, '/echo I waited');
    await page.waitForSelector('.outgoing');
    assert.equal(await page.inputValue('#composer'), '');
    await page.close();
    await proxy.mend();
    await endsWhole(it, person, await visit(context, proxy.url), 'I waited');
  });
}

export function stopping(it, { prefix = '/', host } = {}) {
  const where = { prefix, host };
  const PLAIN = host ? INSECURE : [];
  for (const [how, stop] of [['the button', (page) => page.getByRole('button', { name: 'Stop' }).click()], ['Esc', (page) => page.press('#composer', 'Escape')]]) {
    promise(`stop by ${how}: the job is cancelled within a second, its words are kept, and the next message goes`, { allow: PLAIN }, async ({ open }) => {
      const { person, page } = await scene(it, where, open);
      await say(page, '/delay 25 /tokens 4000');
      await growing(page, 20);
      const { items: [job] } = await it.server.call('GET', '/jobs?kind=chat', person);
      const begun = Date.now();
      await stop(page);
      await until('cancelled', async () => (await it.server.call('GET', `/jobs/${job.id}`, person)).status === 'cancelled', 5_000);
      assert.ok(Date.now() - begun < 1_500, `it took ${Date.now() - begun} ms`);
      const kept = (await answered(page)).trim();
      assert.ok(tokens(4_000).startsWith(kept) && kept.split(' ').length >= 20, `kept: ${kept.slice(0, 200)}`);
      assert.ok(await page.getByText('Stopped. The words so far are kept.').isVisible());
      const [, answer] = await stored(it, person);
      assert.deepEqual([answer.status, answer.content.trim()], ['cancelled', kept]);
      await say(page, '/echo and on');
      assert.equal(await answered(page, 2), 'and on');
    });
  }
}
