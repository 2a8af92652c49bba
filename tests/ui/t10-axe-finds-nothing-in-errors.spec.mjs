// T10: axe finds nothing on what a screen shows when its requests fail, nor on any other bad state.
import assert from 'node:assert/strict';
import { LOOKS, inLooks } from './axe.mjs';
import { FULL, INTERNAL, SPENT, failing, failure, invalid } from './failing.mjs';
import { CUT, promise, say, status, visit, world } from './harness.mjs';
import { everything, goTo, named, screens } from './screens.mjs';

const it = world({ env: { QUEUE__MAX_ATTEMPTS: '1' } });
const PROVOKED = [...CUT, /not fetched/, ...status(400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507)];
const PROBLEM = '.problem[role=alert]';
/** Of the four looks a screen that failed is seen in two in one language, in the other two in the other; */
const SEEN = { en: [LOOKS[0], LOOKS[3]], bn: [LOOKS[2], LOOKS[1]] };
/** any other state in one, and in its opposite in the other language. Each is so seen in both themes, widths and languages. */
const turning = { en: 0, bn: 3 };
const nextLook = (language) => [LOOKS[(language === 'en' ? turning.en++ : turning.bn--) & 3]];

const press = (selector) => (page) => page.locator(selector).first().click();
const sent = (selector, fields = {}) => async (page) => {
  for (const [name, value] of Object.entries(fields)) await page.locator(`${selector} [name="${name}"]`).first().fill(value);
  await page.locator(`${selector} button[type=submit]`).first().click();
};

/** The message that was refused above is sent again by itself; its answer takes no key while it grows. */
const again = async (page) => {
  await page.waitForFunction(() => !document.querySelector('.outgoing, .answer.live'));
  await page.locator('.answer:not(.failed)').last().press('r');
};

/** What is done on a screen that is there, and fails: [address, sign that it is there, what is done, what fails, the answer, sign of the failure]. */
const acts = ({ first, chat, project, prompt, hook }, long) => [
  [`chat/${chat}`, '.answer .text table', (page) => say(page, 'a'), /^POST \/chat\/stream/, failure(507, 'storage_full', 'The disk is full.')],
  [`chat/${chat}`, '.answer .text table', press('.answer .under button[aria-pressed]'), /feedback/, INTERNAL],
  [`chat/${chat}`, '.answer .text table', again, /regenerate/, INTERNAL],
  [`chat/${long}`, '.answer .text', (page) => page.evaluate(() => { document.getElementById('main').scrollTop = 0; }), /messages\?.*cursor=/, INTERNAL, '.more .problem'],
  ['chats?q=title', '.chat-row', press('.chats-top button[type=submit]'), /POST \/nothing/, INTERNAL, '.chat-row'],
  ['memory/review', '.memory-card .source a', press('.memory-card .act'), /\/verify/, failure(409, 'wrong_state', 'This was decided elsewhere.')],
  ['memory/conflicts', '.pair', press('.pair .two button'), /resolve/, INTERNAL],
  ['memory/all', '.memory-list li', async (page) => { await press('.page > .row > button')(page); await sent('dialog', { content: 'a' })(page); }, /^POST \/memory$/, invalid(['content', 'Must not be so short.']), 'dialog .error'],
  [`memory/${first}`, '.history li', press('.what button[aria-pressed]'), /privacy/, INTERNAL],
  ['memory/readings', '.page table', press('.page tbody button'), /extract/, INTERNAL],
  ['projects', '.page li', async (page) => { await press('.page .act')(page); await sent('dialog', { name: 'a' })(page); }, /^POST \/projects/, INTERNAL, 'dialog .problem'],
  [`projects/${project}/prompts/${prompt}`, '.page textarea', (page) => page.locator('.page textarea').first().fill('You help {{'), /^POST \/nothing/, INTERNAL, '.wrong'],
  [`projects/${project}/keys`, '.page form', sent('.page form', { api_key: 'sk-1' }), /^PUT .*provider-keys/, invalid(['api_key', 'The provider does not know this key.']), '.page form .error'],
  [`projects/${project}/budget`, '.page form', sent('.page form', { daily_tokens: '5' }), /^PUT .*budget/, INTERNAL],
  ['keys', 'tbody tr', async (page) => { await press('.page .act')(page); await sent('dialog', { 'key-name': 'a' })(page); }, /^POST \/api-keys/, INTERNAL, 'dialog .problem'],
  ['webhooks', '.hooks li', async (page) => { await press('.page .act')(page); await sent('dialog', { url: 'https://a.invalid/' })(page); }, /^POST \/webhooks/, invalid(['url', 'This address may not be called.']), 'dialog .error'],
  [`webhooks/${hook}`, '.page table', press('section .row button'), /\/test/, INTERNAL],
  ['settings', '.page form', press('.page form button[type=submit]'), /^PATCH \/settings/, INTERNAL],
  ['account', '.page h2', sent('.page section:first-of-type form', { username: 'taken' }), /^PATCH \/users\/me/, invalid(['username', 'This name is taken.']), '.error'],
  ['account', '.page h2', sent('.page form:has([name=new-password])', { 'current-password': 'Wrong-horse-1', 'new-password': 'Correct-horse-2' }), /change-password/,
    failure(403, 'wrong_password', 'The current password is wrong.'), '.error'],
  ['operations/dead', '.dead-list li', press('.dead-list button'), /retry/, INTERNAL],
  ['operations/queues', 'tbody tr', async () => {}, /admin\/queues/, INTERNAL],
];

const WELCOME = [
  ['sign-in', { username: 'nobody', password: 'Wrong-horse-1' }, null],
  ['sign-in', { username: 'nobody', password: 'Wrong-horse-1' }, failure(429, 'rate_limited', 'Too many sign-ins.', { headers: { 'retry-after': '50' } })],
  ['sign-up', { username: 'somebody', password: 'without-any-digit' }, null],
  ['forgot', { email: 'a@example.com' }, INTERNAL],
  ['reset', { email: 'a@example.com', token: 'x', password: 'Correct-horse-2' }, null],
  ['verify', { email: 'a@example.com' }, INTERNAL],
];

let full;
async function prepared() {
  if (full) return full;
  full = await everything(it);
  const messages = Array.from({ length: 120 }, (_, n) => ({ role: n % 2 ? 'assistant' : 'user', content: `${n}: a line` }));
  const long = await it.server.call('POST', '/chat/sessions/import', { token: full.person.token, body: { messages } });
  full.long = long.session_id ?? long.id;
  return full;
}
const nowhere = (page, language) => goTo(page, 'nowhere', '.empty', language);

for (const language of ['en', 'bn']) {
  const setUp = async (open, more = {}) => {
    const page = await visit(await open(it.browser, { url: it.server.url, language, ...more }), it.server.url, more.as ? 'chat' : 'welcome/sign-in');
    return { page, set: await failing(page), look: (where, looks = nextLook(language)) => inLooks(page, `${where} ${language}`, looks) };
  };

  promise(`axe finds nothing on a screen whose requests fail (${language})`, { timeout: 300_000, allow: PROVOKED }, async ({ open }) => {
    const { person, ids } = await prepared();
    const { page, set, look } = await setUp(open, { as: person });
    const { project, prompt, hook } = ids;
    const parts = [[`projects/${project}/prompts/${prompt}`, /\/prompts/], [`projects/${project}/keys`, /provider-keys/], [`projects/${project}/budget`, /quota/], [`webhooks/${hook}`, /deliveries/]];
    // A new chat and the account ask for nothing.
    const whole = screens(ids).map(([address]) => [address, null]).filter(([address]) => !['chat', 'account'].includes(address));
    const found = [];
    // Nor one whose own code does not come: after an upgrade it may be gone.
    await page.route(/screens\/(usage|memory\/graph)\.js/, (route) => route.abort());
    await page.reload();
    for (const address of ['usage', 'memory/graph']) {
      await goTo(page, address, PROBLEM, language);
      found.push(...await look(`the code of ${address} did not come`));
    }
    await page.unroute(/screens\/(usage|memory\/graph)\.js/);
    await page.reload();
    for (const [n, [address, fails]] of [...whole, ...parts, ['chats?q=title', null]].entries()) {
      await nowhere(page, language);
      set({ fails, answer: (n + (language === 'bn')) % 2 ? FULL : INTERNAL });
      await goTo(page, address, PROBLEM, language);
      found.push(...await look(`${named(address)} failed`, SEEN[language]));
      set();
    }
    assert.deepEqual([...new Set(found)], []);
  });

  promise(`axe finds nothing where something that was done has failed (${language})`, { timeout: 300_000, allow: PROVOKED }, async ({ open }) => {
    const { person, ids, long } = await prepared();
    const { page, set, look } = await setUp(open, { as: person });
    const found = [];
    for (const [address, sign, act, fails, answer, face = PROBLEM] of acts(ids, long)) {
      await nowhere(page, language);
      await goTo(page, address, sign, language);
      set({ fails, answer });
      await act(page);
      await page.locator(face).first().waitFor().catch((error) => { throw new Error(`${address} ${fails}: ${error.message}`); });
      found.push(...await look(`${named(address)} ${fails} failed`));
      set();
      if (await page.locator('dialog[open]').count()) await page.keyboard.press('Escape');
    }
    assert.deepEqual([...new Set(found)], []);
  });

  promise(`axe finds nothing on the forms of the door when they fail, and where no page comes at all (${language})`, { timeout: 300_000, allow: PROVOKED }, async ({ open }) => {
    await prepared();
    const { page, set, look } = await setUp(open);
    const found = [];
    for (const [form, fields, answer] of WELCOME) {
      await goTo(page, 'welcome/sign-in', '.welcome form', language);
      await page.reload();
      await goTo(page, `welcome/${form}`, '.welcome form', language);
      set(answer && { fails: /^POST/, answer });
      await sent('.welcome form', fields)(page);
      await page.locator(`${PROBLEM}, .field .error`).first().waitFor();
      found.push(...await look(`welcome/${form} failed`));
      set();
    }
    for (const answer of [INTERNAL, FULL, (route) => route.abort('internetdisconnected')]) {
      set({ fails: /\/ui\/boot/, answer });
      await page.reload();
      await page.locator(PROBLEM).waitFor();
      found.push(...await look('nothing came'));
      set();
    }
    assert.deepEqual([...new Set(found)], []);
  });

  promise(`axe finds nothing on any bad state of a conversation (${language})`, { timeout: 300_000, allow: PROVOKED }, async ({ open }) => {
    const { person, ids } = await prepared();
    const { page, set, look } = await setUp(open, { as: person });
    const found = [];
    const onStream = (answer) => set({ fails: /^POST \/chat\/stream/, answer });
    /** A new chat, something said in it, the face of what came of it. */
    const state = async (where, text, face, prepare = async () => {}, address = 'chat') => {
      await nowhere(page, language);
      await goTo(page, address, '#composer', language);
      await prepare();
      await say(page, text);
      await page.locator(face).first().waitFor().catch((error) => { throw new Error(`${where}: ${error.message}`); });
      found.push(...await look(where));
      set();
      // What waits is taken back, so that it does not come with the next.
      await page.evaluate(async () => { await (await __module('core/drafts.js')).forget(); });
    };
    await state('queue full', '/echo a', '.outgoing .under', async () => onStream(FULL));
    await state('budget spent', '/echo a', '.outgoing .problem', async () => onStream(SPENT));
    await state('too large', '/echo a', '.outgoing .problem', async () => onStream(failure(413, 'body_too_large', 'The body is larger than this route takes.')));
    await state('job dead', '/fail 500 x9', '.answer .problem');
    // An answer that began again, and whose connection is cut.
    const event = (id, name, data) => `id: 1-${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    const begun = event(1, 'job', { status: 'running', session_id: ids.chat, message_id: 'msg_1', job_id: 'job_1' }) + event(2, 'token', { delta: 'a' }) + event(3, 'reset', {});
    await state('cut after it began again', '/echo a', '.answer .note', async () => set({ fails: /^POST \/chat\/stream|jobs\/job_1/, answer: (route) => (route.request().method() === 'GET' ? route.abort()
      : route.fulfill({ headers: { 'x-job-id': 'job_1' }, contentType: 'text/event-stream', body: begun })) }), `chat/${ids.chat}`);

    await nowhere(page, language);
    set({ fails: /^GET \/chat\/sessions/, answer: (route) => route.abort('internetdisconnected') });
    await page.context().setOffline(true);
    await goTo(page, `chat/${ids.chat}`, PROBLEM, language);
    await page.fill('#composer', 'x'.repeat(32_005));
    found.push(...await look('offline, and a text that is too long'));
    await page.fill('#composer', '');
    set();
    await page.context().setOffline(false);

    await page.evaluate(async () => { (await __module('core/store.js')).outdated.value = true; });
    await page.locator('.line button').waitFor();
    found.push(...await look('server upgraded'));

    await page.fill('#composer', 'half a thought');
    await page.evaluate(async () => { (await __module('core/store.js')).signInNeeded.value = true; });
    await page.locator('dialog[open] [name=password]').fill('Wrong-horse-1');
    await page.locator('dialog[open] button[type=submit]').click();
    await page.locator('dialog[open] .problem').waitFor();
    found.push(...await look('session expired while writing'));
    assert.deepEqual([...new Set(found)], []);
  });
}
