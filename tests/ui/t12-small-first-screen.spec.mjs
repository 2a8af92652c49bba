// T12: the first chat screen is at most 75 kB and 26 requests; a screen's own code is small; a second visit asks for one file.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { UI, promise, until, world } from './harness.mjs';

const it = world({ embedded: true });
// UI.md's aims. Bytes are those of bodies: headers are 0.7 kB a file.
const BUDGET = { bytes: 75_000, requests: 26, screen: 8_000, all: 225_000, depth: 2 };

/** What the binary says it was made of and consists of, and where that is. */
async function contents() {
  const page = await (await fetch(it.server.url, { headers: { accept: 'text/html' } })).text();
  const root = `${it.server.url}ui/${/\.\/ui\/([^/]+)\//.exec(page)[1]}/`;
  return { root, ...await (await fetch(`${root}contents.json`)).json() };
}

/** Everything that goes over the wire, with its size as sent. */
async function wire(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  const seen = new Map();
  cdp.on('Network.requestWillBeSent', ({ requestId, request, initiator }) => seen.set(requestId, { url: request.url, bytes: 0, initiator: initiator.url ?? initiator.type, done: false }));
  cdp.on('Network.responseReceived', ({ requestId, response }) => Object.assign(seen.get(requestId) ?? {}, { cached: response.fromDiskCache || response.fromPrefetchCache, headers: response.headers, status: response.status }));
  cdp.on('Network.requestServedFromCache', ({ requestId }) => { if (seen.has(requestId)) seen.get(requestId).cached = true; });
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => Object.assign(seen.get(requestId) ?? {}, { bytes: encodedDataLength, done: true }));
  return () => [...seen.values()];
}

/** The screens that are fetched when the page is idle are held back until they are asked for. */
const holdIdle = (context) => context.addInitScript(() => { globalThis.__idle = []; globalThis.requestIdleCallback = (act) => { globalThis.__idle.push(act); return 0; }; });
const isFile = (one) => !/\/(api|events)\//.test(new URL(one.url).pathname);
/** The composer is there, and nothing is on its way any more but the stream of what happens. */
async function settled(page, all) {
  await page.waitForSelector('#composer');
  await page.waitForFunction(() => globalThis.__idle.length > 0);
  await until('nothing is on its way', () => all().some((one) => /chat\/sessions\?/.test(one.url) && one.done) && all().every((one) => one.done || /api\/v1\/events$/.test(one.url)));
  return all();
}

/** FNV-1a, as api/build/text.rs reckons it. */
function mark(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

promise('the binary was made of the files as they are on disk', {}, async () => {
  const { sources } = await contents();
  const names = fs.readdirSync(UI, { recursive: true }).filter((one) => fs.statSync(path.join(UI, one)).isFile());
  const now = Object.fromEntries(names.sort().map((name) => [name, mark(fs.readFileSync(path.join(UI, name)))]));
  assert.deepEqual(sources, now, 'the binary is older than the files');
});

promise('every script that is served can be loaded, and none holds a second copy of what the page has', {}, async ({ open }) => {
  const { root, served } = await contents();
  const page = await (await open(it.browser, { url: it.server.url, as: await it.server.account() })).newPage();
  await page.goto(`${it.server.url}#/chat`);
  await page.waitForSelector('#composer');
  const scripts = served.filter((name) => name.endsWith('.js'));
  await page.evaluate((urls) => Promise.all(urls.map((url) => import(url))), scripts.map((name) => root + name));
  const held = await Promise.all(scripts.map(async (name) => (await (await fetch(root + name)).text()).match(/^const \$\w+=\(\(\)=>/gm) ?? []));
  const all = held.flat();
  assert.ok(all.length > 60, `${all.length} modules`);
  assert.deepEqual(all.filter((name, at) => all.indexOf(name) !== at), []);
});

promise(`the first chat screen: at most ${BUDGET.bytes / 1_000} kB and ${BUDGET.requests} requests; a second visit asks for one file`, {}, async ({ open }) => {
  const person = await it.server.account();
  const context = await open(it.browser, { url: it.server.url, as: person });
  await holdIdle(context);
  const page = await context.newPage();
  const all = await wire(page);
  await page.goto(`${it.server.url}#/chat`);
  const first = await settled(page, all);
  const bytes = first.reduce((sum, one) => sum + (Number(one.headers?.['content-length']) || 0), 0);
  const list = first.map((one) => `${one.headers?.['content-length'] ?? '?'} ${new URL(one.url).pathname}`).join('\n');
  assert.ok(first.length <= BUDGET.requests, `${first.length} requests\n${list}`);
  assert.ok(bytes <= BUDGET.bytes, `${bytes} bytes\n${list}`);
  for (const one of first.filter((each) => /\/ui\/.*\.(js|css)$/.test(each.url))) {
    assert.equal(one.headers['content-encoding'], 'gzip', one.url);
    assert.match(one.headers['cache-control'], /immutable/, one.url);
  }
  // No script is found out later than by the page or by main.js.
  const late = first.filter((one) => one.url.endsWith('.js') && !/(\/|main\.js|parser|other)$/.test(one.initiator));
  assert.deepEqual(late.map((one) => `${one.url} by ${one.initiator}`), [], `a waterfall deeper than ${BUDGET.depth}`);
  console.log(`# the first screen: ${bytes} bytes in ${first.length} requests`);
  const again = await context.newPage();
  const seen = await wire(again);
  await again.goto(`${it.server.url}#/chat`);
  const second = (await settled(again, seen)).filter((one) => isFile(one) && !one.cached && one.bytes > 0);
  assert.deepEqual(second.map((one) => new URL(one.url).pathname), ['/'], 'files of the second visit');
});

promise(`all of the UI but the type face is at most ${BUDGET.all / 1_000} kB, and no screen's own code over ${BUDGET.screen / 1_000} kB`, {}, async () => {
  const { root, served } = await contents();
  const sizes = await Promise.all(served.filter((one) => /\.(js|css|svg|html)$/.test(one)).map(async (name) => {
    const response = await fetch(name === 'index.html' ? it.server.url : root + name, { headers: { accept: 'text/html', 'accept-encoding': 'gzip' } });
    return [name, Number(response.headers.get('content-length'))];
  }));
  assert.deepEqual(sizes.filter(([, bytes]) => !(bytes > 0)), []);
  const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
  const screens = sizes.filter(([name]) => name.startsWith('screens/')).sort(([, one], [, other]) => other - one);
  console.log(`# all: ${total} bytes; the largest screens: ${screens.slice(0, 3).join(' ')}`);
  assert.ok(total <= BUDGET.all, `${total} bytes`);
  assert.deepEqual(screens.filter(([, bytes]) => bytes > BUDGET.screen), []);
});
