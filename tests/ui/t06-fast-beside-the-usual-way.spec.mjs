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

/** So often each side is measured, in turns: the middle one counts. A machine that does something else meanwhile slows the shorter side most, so when
 * the middle misses its aim, it is the middle of three times as many. */
const RUNS = Number(process.env.UI_RUNS ?? 5);
const middle = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

promise('of 2,000 messages the newest is painted in an eighth of the time that all at once take, from their arrival; with the requests of each in a fifth', { timeout: 240_000 }, async ({ open }) => {
  const person = await it.server.account();
  const body = 'Some **words** with `code`, a [link](https://example.com) and a list:\n\n- one\n- two\n\n```js\nlet x = 1;\n```\n\n';
  const messages = Array.from({ length: 2_000 }, (_, n) => ({ role: n % 2 ? 'assistant' : 'user', content: `${n}: ${n % 2 ? body.repeat(3) : 'a question'}` }));
  const { session_id: id, id: other } = await it.server.call('POST', '/chat/sessions/import', { token: person.token, body: { messages } });
  const context = await open(it.browser, { url: it.server.url, as: person });
  const runs = [];
  const of = (name) => middle(runs.map((run) => run[name]));
  const meets = () => of('seen') <= of('all') / 5 && of('drawn') <= of('draws') / 8;
  while (runs.length < RUNS || (runs.length < 3 * RUNS && !meets())) {
    const page = await visit(context, it.server.url);
    const ours = await page.evaluate(newestSeen, id ?? other);
    await page.close();
    const again = await visit(context, it.server.url);
    runs.push({ ...ours, ...await again.evaluate(allAtOnce, id ?? other) });
    await again.close();
  }
  const line = (mine, theirs) => `${runs.map((run) => `${Math.round(run[mine])}/${Math.round(run[theirs])} ms = 1/${(run[theirs] / run[mine]).toFixed(1)}`).join(', ')}; middle 1/${(of(theirs) / of(mine)).toFixed(1)}`;
  console.log(`# 2,000 messages, newest seen / all drawn. From opening, with requests: ${line('seen', 'all')}. From arrival: ${line('drawn', 'draws')}. Requests: ${runs[0].asked.join(', ')}`);
  // The aim is a tenth, and met (docs/benchmarks.md); what is asserted leaves room for a machine that does something else: the newest waits for a frame or
  // two, and half of the time with requests is one request to a debug build.
  assert.ok(of('seen') <= of('all') / 5, `with requests: ${line('seen', 'all')}`);
  assert.ok(of('drawn') <= of('draws') / 8, `from arrival: ${line('drawn', 'draws')}`);
});

/** Opens the conversation as a click does. Milliseconds until the newest answer is painted: from opening, and from the arrival of its words. */
async function newestSeen(chat) {
  const opened = performance.now();
  location.hash = `#/chat/${chat}`;
  const there = () => { const last = [...document.querySelectorAll('.answer .text')].pop(); return last?.textContent.startsWith('1999:') && last.querySelector('strong'); };
  // A frame in which it is there is painted before the next message comes.
  await new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    const look = () => requestAnimationFrame(() => (there() ? port2.postMessage(0) : look()));
    look();
  });
  const painted = performance.now();
  const asked = performance.getEntriesByType('resource').filter((one) => one.startTime >= opened && one.name.includes(chat));
  const arrived = asked.find((one) => /\/messages\?/.test(one.name)).responseEnd;
  return { seen: painted - opened, drawn: painted - arrived,
    asked: asked.map((one) => `${new URL(one.name).pathname.replace(/.*\/api\/v1/, '').replace(chat, '…')} ${Math.round(one.startTime - opened)}–${Math.round(one.responseEnd - opened)}`) };
}

/**
 * The usual way: the same conversation, its pages as large as the API gives them, then all of it read, made nodes of and painted. It is
 * let off the colouring of code, and all that stands around a message.
 */
async function allAtOnce(chat) {
  const [{ draw }, { get }] = await Promise.all([__module('text/render.js'), __module('api/client.js')]);
  const opened = performance.now();
  const first = get('session', { id: chat });
  const messages = [];
  for (let cursor; cursor !== null;) {
    const page = await get('messages', { id: chat }, { limit: 200, order: 'desc', cursor });
    messages.unshift(...page.messages.reverse());
    cursor = page.next_cursor ?? null;
  }
  await first;
  if (messages.length !== 2_000) throw new Error(`${messages.length} messages came`);
  const arrived = performance.now();
  const box = document.getElementById('main').appendChild(document.createElement('div'));
  box.append(...messages.map(({ content }) => { const one = document.createElement('div'); one.append(...draw(content)); return one; }));
  box.lastElementChild.scrollIntoView();
  await new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    requestAnimationFrame(() => port2.postMessage(0));
  });
  const painted = performance.now();
  return { all: painted - opened, draws: painted - arrived };
}
