// T8: whatever an answer, a title or a memory says, it makes no node outside the allow-list and no request to another origin.
import assert from 'node:assert/strict';
import { ATTACKS } from './corpus.mjs';
import { answered, promise, say, until, visit, world } from './harness.mjs';

const it = world();

/** In the page: what there is that must not be. */
function strangers() {
  const TEXT = { p: ['dir', 'lang'], h2: ['dir', 'lang'], h3: ['dir', 'lang'], h4: ['dir', 'lang'], h5: ['dir', 'lang'], h6: ['dir', 'lang'], blockquote: ['dir'], ul: [], ol: ['start'], li: ['dir'],
    strong: [], em: [], del: [], br: [], hr: [], code: ['dir'], pre: ['tabindex', 'role', 'aria-label'], div: ['class', 'role', 'tabindex', 'aria-label'], span: ['class'],
    button: ['type', 'class'], a: ['href', 'target', 'rel', 'title'], table: [], thead: [], tbody: [], tr: [], th: ['dir', 'class'], td: ['dir', 'class'] };
  const faults = [];
  for (const node of document.querySelectorAll('.text *')) {
    const may = TEXT[node.localName];
    if (!may) { faults.push(`node ${node.localName}: ${node.outerHTML.slice(0, 120)}`); continue; }
    for (const { name } of node.attributes) if (!may.includes(name)) faults.push(`attribute ${name} of ${node.localName}`);
  }
  // Heights that our own code sets, and nothing else: no property of these draws or fetches anything.
  const sized = (node) => node.matches('main, .sheet, .turn') && [...node.style].every((name) => ['contain-intrinsic-height', 'content-visibility', 'scroll-padding-block-end'].includes(name));
  for (const node of document.querySelectorAll('*')) {
    for (const { name, value } of node.attributes) {
      if (name === 'style' && sized(node)) continue;
      if (/^on/i.test(name) || name === 'srcdoc' || name === 'style') faults.push(`attribute ${name} of ${node.localName}: ${value.slice(0, 60)}`);
      if (['href', 'src', 'action', 'formaction', 'data', 'poster', 'xlink:href'].includes(name)) {
        const { protocol, origin } = new URL(value, location.href);
        if (node.localName === 'a' && ['http:', 'https:', 'mailto:'].includes(protocol)) continue;
        if (origin !== location.origin) faults.push(`${node.localName} ${name}=${value.slice(0, 80)}`);
      }
    }
  }
  for (const name of ['iframe', 'object', 'embed', 'img', 'base', 'meta[http-equiv]', 'video', 'audio', 'form[action]', 'math', 'style', 'frame']) {
    if (document.querySelector(name)) faults.push(`there is a ${name}`);
  }
  for (const script of document.scripts) if (!script.src.startsWith(location.origin)) faults.push('a script of somebody else');
  for (const link of document.querySelectorAll('.text a')) {
    if (link.target !== '_blank' || !/noopener/.test(link.rel) || !/noreferrer/.test(link.rel)) faults.push(`a link that tells who follows it: ${link.href}`);
  }
  if ('__pwned' in globalThis) faults.push('a script ran');
  return faults;
}

promise('attacks in answers, while they grow and when they are stored, stay words', {}, async ({ open }) => {
  const person = await it.server.account();
  const context = await open(it.browser, { url: it.server.url, as: person });
  const page = await visit(context, it.server.url);
  const half = Math.ceil(ATTACKS.length / 2);
  const said = [ATTACKS.slice(0, half), ATTACKS.slice(half)].map((some) => some.map((text, at) => `${at}.\n\n${text}`).join('\n\n').replaceAll('\u0000', ''));
  for (const [at, text] of said.entries()) {
    await say(page, `/echo ${text}`);
    await page.waitForSelector('.answer');
    assert.deepEqual(await page.evaluate(strangers), [], 'while it grows');
    await answered(page, at + 1);
    assert.deepEqual(await page.evaluate(strangers), []);
  }
  await page.reload();
  await answered(page, 2);
  // All of it, near or far: what is far is made into nodes when the reader comes there.
  for (let n = 0; n < 2; n += 1) {
    await page.locator('.answer .text').nth(n).evaluate((text) => text.scrollIntoView());
    await page.waitForFunction((at) => !document.querySelectorAll('.answer .text')[at].classList.contains('plain-text'), n);
  }
  assert.deepEqual(await page.evaluate(strangers), []);
  assert.ok(await page.locator('.text a').count() > 3, 'harmless links are links');
  assert.ok(await page.getByText('Image: i').count() > 0, 'images are links that say so');
  assert.ok(await page.getByText('<script>globalThis.__pwned = 1</script>').count() > 0, 'markup is shown as words');
});

promise('attacks in titles, names and memories stay words on every screen that shows them', {}, async ({ open }) => {
  const person = await it.server.account();
  const { token } = person;
  await it.server.call('PATCH', '/users/me', { token, body: { name: '<img src=x onerror=globalThis.__pwned=1>' } });
  const shown = ATTACKS.filter((text) => text.length < 250 && !text.includes('\u0000')).slice(0, 24);
  const ids = [];
  for (const [at, content] of shown.entries()) {
    const kept = await it.server.call('POST', '/memory', { token, body: { content: `${at} ${content}`, memory_type: 'fact' } });
    ids.push(kept.id);
  }
  const chat = await it.server.call('POST', '/chat', { token, body: { message: `I love <img src=x onerror=globalThis.__pwned=1> hiking. I am allergic to <script>globalThis.__pwned=1</script> peanuts.` } });
  for (const [at, title] of shown.slice(0, 6).entries()) {
    const session = at ? (await it.server.call('POST', '/chat', { token, body: { message: '/echo x' } })).session_id : chat.session_id;
    await it.server.call('PATCH', `/chat/sessions/${session}`, { token, body: { title: title.replace(/[\n\r]/g, ' ').slice(0, 100) } });
  }
  await until('memories that wait', async () => (await it.server.call('GET', '/memory/pending', person)).items.length > 0);
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  const screens = [['chat', '.first'], [`chat/${chat.session_id}`, '.answer .text'], ['memory/review', '.memory-card'], ['memory/all', '.memory-list li'],
    [`memory/${ids[0]}`, '.memory-card'], ['memory/readings', 'table, .empty'], ['memory/graph', '.page'], ['memory/duplicates', '.page']];
  for (const [address, sign] of screens) {
    await page.evaluate((hash) => { location.hash = hash; }, `#/${address}`);
    await page.locator(sign).first().waitFor();
    assert.deepEqual(await page.evaluate(strangers), [], address);
  }
  assert.ok(await page.locator('.side .chats a').count() >= 6, 'the titles are there');
});
