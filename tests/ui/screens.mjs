// Every screen, each with everything on it that it can show; and an empty account beside.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { BINARY, until } from './harness.mjs';

/** An account that is an admin from its next sign-in on. */
export async function admin(it) {
  const person = await it.server.account();
  const env = { PATH: process.env.PATH, HOME: it.server.dir, DATA_DIR: path.join(it.server.dir, 'data') };
  execFileSync(BINARY, ['admin', 'promote', person.name, '--yes'], { cwd: it.server.dir, env, stdio: 'ignore' });
  const { access_token: token } = await it.server.call('POST', '/auth/login', { body: { username: person.name, password: person.password } });
  return { ...person, token };
}

/** `word`: put wherever a person may write, to see whether it fits. */
export async function everything(it, word = '') {
  const person = await admin(it);
  const ask = (method, route, body, more) => it.server.call(method, route, { token: person.token, body, ...more });
  const tell = (message, more) => ask('POST', '/chat', { message, ...more });
  const pending = (least) => until('memories', async () => { const { items } = await ask('GET', '/memory/pending'); return items.length >= least && items; });
  await tell('I live in Sylhet.');
  const [first] = await pending(1);
  await ask('POST', `/memory/${first.id}/verify`, { action: 'confirm' });
  await tell(`I live in Dhaka. I love hiking in the mountains. ${word && `I love ${word}.`} আমি চা ভালোবাসি।`);
  await until('a conflict', async () => (await ask('GET', '/memory/conflicts?status=open')).length);
  await pending(2);
  const { session_id: chat } = await tell(`/echo # Title ${word}\n\nWords with \`code\`, a [link](https://example.com/${word}) and **more**.\n\n| a ${word} | b |\n|---|---|\n| 1 | 2 |\n\n\`\`\`python\nprint("x")  # said ${word}\n\`\`\`\n\n> quoted\n\n- one\n- two`);
  await ask('PATCH', `/chat/sessions/${chat}`, { title: `A title ${word}`, is_pinned: true });
  await ask('POST', '/chat/regenerate', { session_id: chat });
  await ask('POST', '/chat', { message: '/fail 500 x9', provider: 'mock' }, { headers: { Prefer: 'respond-async' } });
  const note = await it.server.call('POST', `/files?name=${encodeURIComponent(`note ${word}.md`)}`, { token: person.token, raw: `# A heading ${word}\n\nThe quince pump starts at 40 degrees ${word}.` });
  await until('a file is read', async () => (await ask('GET', `/files/${note.id}`)).status === 'indexed');
  await ask('PUT', `/chat/sessions/${chat}/files`, { file_ids: [note.id] });
  await tell('When does the quince pump start?', { session_id: chat });
  const project = await ask('POST', '/projects', { name: `Travel ${word}`, description: `By train ${word}` });
  const prompt = await ask('POST', `/projects/${project.id}/prompts`, { name: `Guide ${word}`.slice(0, 90), content: `You help {{ user.name }} ${word}.` });
  await ask('PATCH', `/projects/${project.id}/prompts/${prompt.id}`, { content: `You help {{ user.name }} often ${word}.` });
  await ask('POST', '/api-keys', { name: `my script ${word}`.slice(0, 90) });
  const hook = await ask('POST', '/webhooks', { url: `https://hooks.invalid/${word}`, events: ['job.failed'] });
  await ask('POST', `/webhooks/${hook.id}/test`);
  await until('a dead job', async () => (await ask('GET', '/admin/jobs/dead')).items.length);
  return { person, ids: { first: first.id, chat, project: project.id, prompt: prompt.id, hook: hook.id } };
}

export const WELCOME = ['sign-in', 'sign-up', 'forgot'];

/** Each address with a sign that it is there and full. */
export const screens = ({ first, chat, project, prompt, hook }) => [
  ['chat', '.first'], [`chat/${chat}`, '.answer .text table'], ['chats', '.chat-row'],
  ['memory/review', '.memory-card .source a'], ['memory/conflicts', '.pair'], ['memory/all', '.memory-list li'], [`memory/${first}`, '.history li'],
  ['memory/duplicates', '.page'], ['memory/graph', '.page'], ['memory/readings', '.page table, .page li'],
  ['files', 'tbody tr'], ['files?q=pump', '.passage'],
  ['usage', '.chart'], ['projects', '.page li'], [`projects/${project}/prompts/${prompt}`, '.page textarea'], [`projects/${project}/keys`, '.page form, .page select, .page table'], [`projects/${project}/budget`, '.page form'],
  ['keys', 'tbody tr'], ['webhooks', '.hooks li'], [`webhooks/${hook}`, '.page table, .page li'], ['settings', '.page form, .page select'], ['account', '.page h2'],
  ['operations/queues', 'tbody tr'], ['operations/dead', '.dead-list li'], ['operations/workers', '.page h2'], ['operations/providers', '.page h2'], ['operations/people', '.page h2'], ['operations/audit', '.page h2'],
];

/** Goes to a screen of an open page and waits until it is there. */
export async function goTo(page, address, sign, language) {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${address}`);
  await page.locator(sign).first().waitFor().catch((error) => { throw new Error(`${address}: ${error.message}`); });
  await page.waitForFunction(() => !/Loading …|আসছে …/.test(document.querySelector('main').textContent));
  assert.equal(await page.evaluate(() => document.documentElement.lang), language);
}

/** Name of an address without what is different in each run. */
export const named = (address) => address.replace(/(\w+)_[0-9a-z]{20,}/g, '$1');
