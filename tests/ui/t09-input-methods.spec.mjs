// T9: the Enter of an input method sends nothing, in any field that takes Enter; every script has its direction and language.
import assert from 'node:assert/strict';
import { answered, promise, say, until, visit, world } from './harness.mjs';

const it = world();

/** Composes a word as an input method does, and presses its Enter in each of the ways browsers tell of it. */
async function compose(page, selector, word, modifiers = 0) {
  const cdp = await page.context().newCDPSession(page);
  await page.focus(selector);
  const enter = async (extra) => {
    await cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', code: 'Enter', modifiers, ...extra });
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', key: 'Enter', code: 'Enter', modifiers, ...extra });
  };
  await cdp.send('Input.imeSetComposition', { text: word, selectionStart: word.length, selectionEnd: word.length });
  // Chromium and Firefox: composing. Some: only the old key code says so.
  await enter({ windowsVirtualKeyCode: 13 });
  await enter({ windowsVirtualKeyCode: 229 });
  assert.ok((await page.inputValue(selector)).includes(word), 'the word is still there');
  // Safari: the word ends first, and its Enter comes in the same moment.
  await page.evaluate(([chosen, ctrl]) => {
    const field = document.querySelector(chosen);
    field.dispatchEvent(new CompositionEvent('compositionend', { bubbles: true, data: field.value }));
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', code: 'Enter', keyCode: 13, bubbles: true, cancelable: true, ctrlKey: ctrl }));
  }, [selector, modifiers === 2]);
  await cdp.send('Input.insertText', { text: word });
  await cdp.detach();
}

/** Nothing was asked of the server but what a page asks by itself. */
function asked(page) {
  const seen = [];
  page.on('request', (request) => { if (request.method() !== 'GET' && !/auth\/refresh/.test(request.url())) seen.push(`${request.method()} ${new URL(request.url()).pathname}`); });
  return seen;
}

promise('the Enter of an input method does not send a message; the next Enter does', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  const seen = asked(page);
  await compose(page, '#composer', 'ঢাকা');
  assert.deepEqual(seen, []);
  assert.equal(await page.locator('.question').count(), 0);
  await page.waitForFunction((since) => performance.now() - since > 100, await page.evaluate(() => performance.now()));
  await page.press('#composer', 'Enter');
  await answered(page);
  assert.equal((await page.locator('.question .words').textContent()).includes('ঢাকা'), true);
});

promise('nor does it search chats, search memories, branch a message, or keep a correction', {}, async ({ open }) => {
  const person = await it.server.account();
  await it.server.call('POST', '/chat', { token: person.token, body: { message: 'I love hiking in the mountains.' } });
  await until('a memory', async () => (await it.server.call('GET', '/memory/pending', person)).items.length > 0);
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  const seen = asked(page);
  await compose(page, '#side-search', 'ঢাকা');
  assert.match(page.url(), /#\/chat$/, 'the search did not go');
  await page.locator('.side .chats a').first().click();
  await answered(page, 1);
  await page.locator('.question').first().focus();
  await page.keyboard.press('e');
  await compose(page, '.edit textarea', 'ঢাকা', 2);
  assert.ok(await page.locator('.edit textarea').isVisible(), 'still being edited');
  await page.evaluate(() => { location.hash = '#/memory/all'; });
  await page.waitForSelector('#memory-search');
  await compose(page, '#memory-search', 'ঢাকা');
  await page.evaluate(() => { location.hash = '#/memory/review'; });
  await page.locator('.memory-card').first().focus();
  await page.keyboard.press('e');
  await compose(page, '.correct textarea', 'ঢাকা', 2);
  assert.ok(await page.locator('.correct textarea').isVisible(), 'still being corrected');
  assert.deepEqual(seen, []);
});

promise('Esc ends the word of an input method, not the editing around it', {}, async ({ open }) => {
  const person = await it.server.account();
  await it.server.call('POST', '/chat', { token: person.token, body: { message: 'I love hiking in the mountains.' } });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  await page.locator('.side .chats a').first().click();
  await answered(page, 1);
  await page.locator('.question').first().focus();
  await page.keyboard.press('e');
  await page.locator('.edit textarea').evaluate((field) => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', isComposing: true, keyCode: 229, bubbles: true, cancelable: true })));
  assert.ok(await page.locator('.edit textarea').isVisible());
});

promise('Arabic runs from the right, Bengali is marked as Bengali, and mixed text follows its first letter', {}, async ({ open }) => {
  const person = await it.server.account();
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  const cases = [['مرحبا بالعالم', 'rtl', ''], ['আমি ঢাকায় থাকি', 'ltr', 'bn'], ['English first, then مرحبا', 'ltr', ''], ['مرحبا then English', 'rtl', '']];
  for (const [at, [words, direction, language]] of cases.entries()) {
    await page.fill('#composer', words);
    assert.equal(await page.locator('#composer').evaluate((box) => getComputedStyle(box).direction), direction, `the box: ${words}`);
    await say(page, `/echo ${words}`);
    await answered(page, at + 1);
    const shown = await page.locator('.answer .text').last().locator('p').first().evaluate((node) => [getComputedStyle(node).direction, node.lang]);
    assert.deepEqual(shown, [direction, language], words);
  }
});
