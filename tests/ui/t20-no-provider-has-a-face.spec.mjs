// A bad state has a face: there is no provider, or it is away.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Server, answered, promise, say, visit, world } from './harness.mjs';
import { freePort } from './server.mjs';

const it = world();

promise('without a provider the page says that a test model answers, and how a real one is connected', {}, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url);
  await page.locator('.line').getByText('The built-in test model answers. Connect a real one to get real answers.').waitFor();
  assert.match(await page.locator('.first').textContent(), /Connect a model.*AI_SERVICES__OPENAI_API_KEY/s);
});

/** A provider as OpenAI's, which says one word. */
const provider = () => createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const piece = (delta, finish = null) => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  response.end(`${piece({ role: 'assistant', content: 'returned' })}${piece({}, 'stop')}data: [DONE]\n\n`);
});

promise('a provider that is away is said to be waited for, and the answer comes when it is back', {}, async ({ open }) => {
  const port = await freePort();
  const server = await new Server({ env: { AI_SERVICES__OPENAI_API_KEY: 'sk-test', AI_SERVICES__OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` } }).start();
  const back = provider();
  try {
    const context = await open(it.browser, { url: server.url, as: await server.account() });
    const page = await visit(context, server.url);
    assert.equal(await page.locator('.line').textContent(), '', 'a provider is there: nothing is said of the test model');
    await say(page, 'hello');
    await page.locator('.answer .state').getByText('The provider is away. Waiting for it …').waitFor();
    await new Promise((done) => { back.listen(port, '127.0.0.1', done); });
    assert.equal((await answered(page, 1, 90_000)).trim(), 'returned');
    await context.close();
  } finally {
    back.close();
    await server.stop();
  }
});
