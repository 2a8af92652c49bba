// T6, T7: a long answer and a long conversation, beside the usual way to draw them, in the same run, as ratios.
import assert from 'node:assert/strict';
import { promise, visit, world } from './harness.mjs';

const it = world();

/** 20,000 words with paragraphs, lists, code and tables. */
const words = () => {
  let text = '';
  for (let n = 0; n < 400; n += 1) {
    if (n % 9 === 3) text += `\n\n- one of ${n}\n- two of ${n}\n- three`;
    else if (n % 9 === 5) text += `\n\n\`\`\`python\ndef f${n}(x):\n    return x * ${n}\n\`\`\``;
    else if (n % 9 === 7) text += `\n\n| a | b |\n| --- | --- |\n| ${n} | two |`;
    else text += `\n\n${Array.from({ length: 62 }, (_, at) => (at % 11 ? `word${at}` : `**w${n}**`)).join(' ')}`;
  }
  return text;
};

promise('20,000 words that stream cost a fifteenth of parsing and replacing all at each piece', { timeout: 240_000 }, async ({ open }) => {
  const page = await visit(await open(it.browser, { url: it.server.url, as: await it.server.account() }), it.server.url);
  const { ours, usual } = await page.evaluate(async (text) => {
    const [{ Growing }, { draw }] = await Promise.all([__module('text/stream.js'), __module('text/render.js')]);
    const box = document.body.appendChild(document.createElement('div'));
    const pieces = text.match(/[\s\S]{1,200}/g);
    let begun = performance.now();
    const growing = new Growing(box);
    for (const piece of pieces) { growing.text += piece; growing.paint(); }
    growing.finish(text);
    const mine = performance.now() - begun;
    box.replaceChildren();
    // The usual way: at each piece all of it is read and put in anew. (With nodes, as the policy wants; a string would have to be purified too.)
    begun = performance.now();
    for (let at = 0, so = ''; at < pieces.length; at += 1) { so += pieces[at]; box.replaceChildren(...draw(so)); }
    const theirs = performance.now() - begun;
    box.remove();
    return { ours: mine, usual: theirs };
  }, words());
  console.log(`# streaming: ${Math.round(ours)} ms against ${Math.round(usual)} ms, 1/${Math.round(usual / ours)}`);
  assert.ok(ours <= usual / 15, `${ours} against ${usual}`);
});

promise('of 2,000 messages the newest is seen in a third of the time that drawing all takes, its requests included', { timeout: 240_000 }, async ({ open }) => {
  const person = await it.server.account();
  const body = 'Some **words** with `code`, a [link](https://example.com) and a list:\n\n- one\n- two\n\n```js\nlet x = 1;\n```\n\n';
  const messages = Array.from({ length: 2_000 }, (_, n) => ({ role: n % 2 ? 'assistant' : 'user', content: `${n}: ${n % 2 ? body.repeat(3) : 'a question'}` }));
  const { session_id: id, id: other } = await it.server.call('POST', '/chat/sessions/import', { token: person.token, body: { messages } });
  const page = await visit(await open(it.browser, { url: it.server.url, as: person }), it.server.url);
  const { seen, came, all, requests } = await page.evaluate(async ({ chat, texts }) => {
    const { draw } = await __module('text/render.js');
    const opened = performance.now();
    location.hash = `#/chat/${chat}`;
    await new Promise((done) => {
      const look = () => { const last = [...document.querySelectorAll('.answer .text')].pop(); return last?.textContent.startsWith('1999:') && last.querySelector('strong') ? requestAnimationFrame(done) : requestAnimationFrame(look); };
      look();
    });
    const painted = performance.now();
    const asked = performance.getEntriesByType('resource').filter((one) => one.startTime >= opened && one.name.includes(chat));
    const answer = asked.find((one) => /\/messages\?/.test(one.name)).responseEnd;
    const box = document.getElementById('main').appendChild(document.createElement('div'));
    const begun = performance.now();
    box.append(...texts.map((text) => { const one = document.createElement('div'); one.append(...draw(text)); return one; }));
    box.getBoundingClientRect();
    const theirs = performance.now() - begun;
    box.remove();
    const spans = asked.map((one) => `${new URL(one.name).pathname.replace(/.*\/api\/v1/, '').replace(chat, '…')} ${Math.round(one.startTime - opened)}–${Math.round(one.responseEnd - opened)}`);
    return { seen: painted - opened, came: painted - answer, all: theirs, requests: spans };
  }, { chat: id ?? other, texts: messages.map((message) => message.content) });
  const ratio = (millis) => `${Math.round(millis)} ms, 1/${(all / millis).toFixed(1)}`;
  console.log(`# 2,000 messages, drawing all takes ${Math.round(all)} ms; the newest is seen after ${ratio(seen)}; from the answer's arrival ${ratio(came)} (${requests.join(', ')})`);
  assert.ok(seen <= all / 3, `${seen} against ${all}`);
  assert.ok(came <= all / 6, `${came} against ${all}`);
});
