// Pages of the system's Chromium that fail their spec on any console error, violation of the policy, or request to another origin.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { Server } from './server.mjs';

export { Server, BINARY, UI, until } from './server.mjs';
export { Proxy } from './proxy.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const tools = process.env.UI_TOOLS ?? path.resolve(here, '../../target/uitools');
export const require = createRequire(path.join(tools, 'package.json'));
const { chromium } = require('playwright-core');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Which may be said when a spec cuts the network or stops the server. */
export const CUT = [/^console: Failed to load resource: net::ERR_/, /^failed request: /];
/** Chromium says this of every answer that is not good; a spec names the ones it provokes. */
export const status = (...codes) => codes.map((code) => new RegExp(`^console: Failed to load resource: the server responded with a status of ${code} `));

/** A name of this machine as one in a local network has: no secure context. For `world`, and what browsers say of each page there. */
export const PLAIN_HOST = 'plain.test';
export const PLAIN = { args: [`--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`] };
export const INSECURE = [/Cross-Origin-Opener-Policy header has been ignored/];

/** A deadline for anything a spec waits for: long, because it is met at once unless something is broken. */
export const LIMIT = Number(process.env.UI_LIMIT ?? 40_000);

/** For each spec file: one server and one browser. Gives what holds them. */
export function world(options = {}) {
  const it = { server: null, browser: null };
  before(async () => {
    assert.ok(fs.existsSync(CHROMIUM), `${CHROMIUM} is missing: on Debian, apt-get install chromium`);
    it.server = await new Server(options).start();
    it.browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...(options.args ?? [])] });
  });
  after(async () => { await it.browser?.close(); await it.server?.stop(); });
  return it;
}

/** Everything that must not happen on a page. */
class Guard {
  constructor(allow) { this.allow = allow; this.seen = []; }
  note(text) { if (!this.allow.some((pattern) => pattern.test(text))) this.seen.push(text); }
  watch(context, origin) {
    const dialogs = (dialog) => { this.note(`dialog: ${dialog.type()} ${dialog.message()}`); dialog.dismiss().catch(() => {}); };
    context.on('console', (message) => { if (['error', 'warning'].includes(message.type())) this.note(`console: ${message.text()}`); });
    context.on('weberror', (error) => this.note(`page error: ${error.error().stack ?? error.error()}`));
    context.on('dialog', dialogs);
    context.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url)) this.note(`request to another origin: ${url}`);
    });
    context.on('requestfailed', (request) => {
      const why = request.failure()?.errorText;
      // A page that is left or a reader that stops takes its requests with it.
      if (why !== 'net::ERR_ABORTED') this.note(`failed request: ${request.url()} ${why}`);
    });
    return context.exposeBinding('__violation', (_, text) => this.note(`policy: ${text}`));
  }
}

/**
 * A test named by its promise. `body` gets what opens pages; afterwards every page must have been quiet.
 * `allow`: patterns of what the test itself provokes.
 */
export function promise(name, { allow = [], timeout = 120_000 } = {}, body) {
  test(name, { timeout }, async () => {
    const guard = new Guard(allow);
    const opened = [];
    try {
      await body({ guard, open: (browser, options) => openContext(browser, options, guard, opened) });
    } finally {
      for (const context of opened) await context.close().catch(() => {});
    }
    assert.deepEqual(guard.seen, [], 'a page was not quiet');
  });
}

async function openContext(browser, { url, as = null, record = false, width = 1360, height = 860, ...options }, guard, opened) {
  const { origin } = new URL(url);
  const local = [{ name: 'rapport.language', value: options.language ?? 'en' }];
  if (as) local.push({ name: 'rapport.signed-in', value: '1' });
  const context = await browser.newContext({ viewport: { width, height }, storageState: { cookies: [], origins: [{ origin, localStorage: local }] }, ...options });
  opened.push(context);
  context.setDefaultTimeout(LIMIT);
  await guard.watch(context, origin);
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => globalThis.__violation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  // A module of ours by its path, the page's own: in the binary those of the first screen are inside main.js.
  await context.addInitScript(() => {
    globalThis.__module = async (name) => {
      const root = document.querySelector('link[rel=stylesheet]').href.replace(/style\/.*/, '');
      const main = await import(`${root}main.js`);
      return main[`$${name.replace(/\.js$/, '').replace(/\W/g, '_')}`] ?? import(`${root}${name}`);
    };
  });
  // What each growing answer looked like at every change, for who asks whether a token was lost or doubled.
  if (record) await context.addInitScript(() => {
    globalThis.__live = [];
    new MutationObserver(() => {
      const text = document.querySelector('.answer.live .text')?.textContent;
      if (text !== undefined && globalThis.__live.at(-1) !== text) globalThis.__live.push(text);
    }).observe(document, { subtree: true, childList: true, characterData: true });
  });
  if (as) {
    // The cookie a browser gets when somebody signs in.
    const here = url.replace(PLAIN_HOST, '127.0.0.1');
    const answer = await context.request.post(`${here}api/v1/auth/login`, { headers: { 'X-Rapport-Session': 'cookie' }, data: { username: as.name, password: as.password } });
    assert.ok(answer.ok(), `sign-in: ${answer.status()} ${await answer.text()}`);
    // Only the browser knows that name.
    if (here !== url) await context.addCookies((await context.cookies()).map((cookie) => ({ ...cookie, domain: PLAIN_HOST })));
  }
  return context;
}

/** Opens an address of the UI and waits until it is there. */
export async function visit(context, url, at = 'chat') {
  const page = await context.newPage();
  await page.goto(`${url}#/${at}`);
  await page.waitForSelector(at.startsWith('welcome') ? 'main.welcome' : '#main');
  if (at.startsWith('chat')) await page.waitForSelector('#composer');
  return page;
}

export async function say(page, text) {
  await page.fill('#composer', text);
  await page.press('#composer', 'Enter');
}

/** Waits until no answer is growing and the last one is stored. Gives its text as one reads it. */
export async function answered(page, count = 1, millis = LIMIT) {
  await page.waitForFunction((n) => !document.querySelector('.answer.live') && !document.querySelector('.outgoing')
    && document.querySelectorAll('.answer').length >= n, count, { timeout: millis });
  return page.locator('.answer .text').last().textContent();
}

export const growing = (page, words) => page.waitForFunction((n) => (document.querySelector('.answer.live .text')?.textContent ?? '').split(' ').length > n, words);

/** What the mock answers to `/tokens n`. */
export const tokens = (n) => Array.from({ length: n }, (_, at) => `w${at + 1}`).join(' ');

/** The UI's modules for Node: a copy of the folder that says it holds modules. */
export async function moduleOf(name, from) {
  const { UI } = await import('./server.mjs');
  const copy = fs.mkdtempSync(path.join(process.env.RAPPORT_TEST_DIR ?? '/tmp', 'ui-modules-'));
  from.after(() => fs.rmSync(copy, { recursive: true, force: true }));
  fs.cpSync(UI, copy, { recursive: true });
  fs.writeFileSync(path.join(copy, 'package.json'), '{"type":"module"}');
  return import(path.join(copy, name));
}
