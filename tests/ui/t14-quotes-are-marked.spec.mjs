// T14: the quote of a memory is found in its message: repeated words, emoji, conjuncts, combining marks, cut over lines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moduleOf, promise, visit, until, world } from './harness.mjs';

const it = world();

/** [what, message, quote, what must be marked] */
const CASES = [
  ['the words as they stand', 'I love tea. I hate rain.', 'I hate rain.', 'I hate rain.'],
  ['repeated words: the first place', 'tea and tea and tea', 'tea', 'tea'],
  ['a longer quote among repeated words', 'I like it. I like it a lot.', 'I like it a lot', 'I like it a lot'],
  ['emoji of several code points', 'We are 👩‍👩‍👧‍👦 and 🇧🇩 fans.', '👩‍👩‍👧‍👦 and 🇧🇩', '👩‍👩‍👧‍👦 and 🇧🇩'],
  ['a quote cut over lines', 'I am allergic\n  to peanuts, sadly.', 'I am allergic to peanuts', 'I am allergic\n  to peanuts'],
  ['line ends of Windows', 'I moved\r\nto Dhaka.', 'I moved\nto Dhaka.', 'I moved\r\nto Dhaka.'],
  ['spaces that do not break', 'I weigh 70\u00a0kg now.', 'I weigh 70 kg', 'I weigh 70\u00a0kg'],
  ['another case', 'i LIVE in dhaka', 'I live in Dhaka', 'i LIVE in dhaka'],
  ['Bengali conjuncts', 'আমি ক্ষমা ও শ্রদ্ধা করি। আমি ঢাকায় থাকি।', 'আমি ঢাকায় থাকি।', 'আমি ঢাকায় থাকি।'],
  ['Bengali over lines', 'আমি ঢাকায়\nথাকি।', 'আমি ঢাকায় থাকি।', 'আমি ঢাকায়\nথাকি।'],
  ['signs of patterns', 'It costs $5 (five) [really] a+b=c?', '$5 (five) [really] a+b=c?', '$5 (five) [really] a+b=c?'],
  ['right to left', 'أنا أحب الشاي. وأكره المطر.', 'أحب الشاي', 'أحب الشاي'],
  ['spaces around the quote', 'I love tea.', '  I love tea. ', 'I love tea.'],
];
/** Letters with marks of their own, composed in one and apart in the other. */
const COMPOSED = [
  ['apart in the message', 'I like cafe\u0301 noir a lot.', 'caf\u00e9 noir'],
  ['apart in the quote', 'I like caf\u00e9 noir a lot.', 'cafe\u0301 noir'],
  ['Bengali ড় in two ways', 'আমার বাড\u09bc\u09bf ঢাকায়।', 'বা\u09dc\u09bf ঢাকায়'],
];

test('the quote is found in its message, whatever stands between its words', async (context) => {
  const { locate, nearby } = await moduleOf('text/quote.js', context);
  const faults = [];
  const check = (name, right) => { if (!right) faults.push(name); };
  for (const [name, message, quote, marked] of CASES) {
    const parts = locate(message, quote);
    check(`${name}: ${JSON.stringify(parts)}`, parts?.[1] === marked && parts.join('') === message);
  }
  for (const [name, message, quote] of COMPOSED) {
    const parts = locate(message, quote);
    check(`${name}: ${JSON.stringify(parts)}`, parts && parts[1].normalize('NFC') === quote.normalize('NFC') && parts.join('').normalize('NFC') === message.normalize('NFC'));
  }
  for (const [message, quote] of [['I love tea.', 'coffee'], ['', 'x'], ['words', ''], ['words', '   '], ['words', null]]) {
    check(`${JSON.stringify(quote)} is not in ${JSON.stringify(message)}`, locate(message, quote) === null);
  }
  const around = nearby('One. Two. Three. Four is here. Five. Six. Seven.', 'Four is here.');
  check(`a sentence either side: ${JSON.stringify(around)}`, around?.join('|') === '… Three. |Four is here.| Five. …');
  assert.deepEqual(faults, []);
});

promise('every memory that waits shows its quote marked in its message', {}, async ({ open }) => {
  const person = await it.server.account();
  const said = 'Hello!\n\nI love hiking 🏔️ in the\nmountains, and I am allergic to peanuts. I live in Dhaka. আমি ঢাকায় থাকি।';
  await it.server.call('POST', '/chat', { token: person.token, body: { message: said } });
  const { items } = await until('memories', async () => { const list = await it.server.call('GET', '/memory/pending', person); return list.items.length >= 3 && list; });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url, 'memory/review');
  for (const memory of items) {
    assert.ok(memory.source.quote, `${memory.content} has a quote`);
    const card = page.locator(`.memory-card[data-id="${memory.id}"]`);
    await card.locator('a').first().waitFor();
    const flat = (text) => text.replace(/\s+/g, ' ').trim().toLowerCase();
    assert.equal(flat(await card.locator('mark').textContent()), flat(memory.source.quote));
    const style = await card.locator('mark').evaluate((mark) => { const { textDecorationLine, backgroundColor } = getComputedStyle(mark); return { textDecorationLine, backgroundColor }; });
    assert.equal(style.textDecorationLine, 'underline', 'marked and underlined');
    assert.notEqual(style.backgroundColor, 'rgba(0, 0, 0, 0)');
  }
});
