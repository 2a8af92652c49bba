// Makes the pictures of docs/ui: real pages of the real binary, with data a person could have. Run by hand:
//   RAPPORT_BIN=target/debug/rapport node tests/ui/pictures.mjs
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { chromium } = createRequire(path.join(root, 'target/uitools/x.js'))('playwright-core');
const bin = path.resolve(process.env.RAPPORT_BIN ?? path.join(root, 'target/debug/rapport'));
const out = path.join(root, 'docs/ui');
mkdirSync(out, { recursive: true });
const data = mkdtempSync(path.join(tmpdir(), 'rapport-pictures-'));
const port = 8_460;
const url = `http://127.0.0.1:${port}`;

const answer = ['Two quiet days, with walking in the hills and **no nuts anywhere near the menu**. You leave from Dhaka on Friday morning.', '',
  '| Train | Leaves | Arrives |', '| --- | --- | --- |', '| Parabat Express | 06:20 | 12:55 |', '| Joyentika Express | 11:15 | 18:40 |', '',
  'শ্রীমঙ্গলে নেমে লাউয়াছড়া বনে হাঁটা যায়; সন্ধ্যায় সাত রঙের চা।', '', '```python', 'def packing(days):', '    # rain on both days', '    return ["boots", "umbrella"] + ["socks"] * days', '```'].join('\n');
// A provider that always gives this answer, so that the picture shows a question as people ask.
const provider = http.createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const piece of answer.match(/[\s\S]{1,12}/g)) response.write(`data: ${JSON.stringify({ model: 'gpt-5', choices: [{ index: 0, delta: { content: piece } }] })}\n\n`);
  response.write(`data: ${JSON.stringify({ model: 'gpt-5', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 310, completion_tokens: 102, total_tokens: 412 } })}\n\n`);
  response.end('data: [DONE]\n\n');
}).listen(0, '127.0.0.1');
await new Promise((ready) => provider.once('listening', ready));
const env = { ...process.env, DATA_DIR: data, PORT: String(port), MEMORY__IDLE_SECONDS: '1', RATE_LIMIT__REQUESTS_PER_MINUTE: '0', QUEUE__MAX_ATTEMPTS: '1', MEMORY__PROVIDER: 'mock',
  AI_SERVICES__OPENAI_API_KEY: 'sk-pictures', AI_SERVICES__OPENAI_MODEL: 'gpt-5', AI_SERVICES__OPENAI_BASE_URL: `http://127.0.0.1:${provider.address().port}/v1` };
const server = spawn(bin, [], { env, stdio: 'ignore' });

async function until(what, look) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const found = await look().catch(() => null);
    if (found) return found;
    await new Promise((next) => setTimeout(next, 200));
  }
  throw new Error(`not within a minute: ${what}`);
}

await until('ready', async () => (await fetch(`${url}/readyz`)).ok);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await (await browser.newContext({ viewport: { width: 1360, height: 860 } })).newPage();
await page.goto(url);
await page.fill('input[name=username]', 'ana');
await page.fill('input[name=password]', 'Correct-horse-1');
await page.click('button[type=submit]');
await page.waitForSelector('#composer');
execFileSync(bin, ['admin', 'promote', 'ana', '--yes'], { env, stdio: 'ignore' });
// That ended the login: the page asks again at its next request.
await page.goto(`${url}/#/usage`);
await page.waitForSelector('dialog input[name=password]');
await page.fill('dialog input[name=password]', 'Correct-horse-1');
await page.click('dialog button[type=submit]');
await page.waitForSelector('dialog', { state: 'detached' });
await page.reload();
const { access_token: token } = await (await fetch(`${url}/api/v1/auth/login`, { method: 'POST', body: new URLSearchParams({ username: 'ana', password: 'Correct-horse-1' }) })).json();
const api = async (method, at, body) => {
  const response = await fetch(`${url}/api/v1${at}`, { method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  return response.json().catch(() => null);
};
const say = (message, session) => api('POST', '/chat', { message, ...(session ? { session_id: session } : {}) });

for (const [title, words] of [['Peanut-free breakfasts', 'I love hiking in the mountains and I am allergic to peanuts. What should I pack?'],
  ['A cover letter', 'My name is Ana and I live in London.'], ['Running plan to December', 'I want to run a marathon in 2027.'],
  ['রান্নার রেসিপি', 'আমি বিরিয়ানি খেতে ভালোবাসি।']]) {
  const { session_id: id } = await say(words);
  await api('PATCH', `/chat/sessions/${id}`, { title });
}
await until('memories', async () => (await api('GET', '/memory/pending')).total >= 4);
for (const memory of (await api('GET', '/memory/pending')).items) if (/hiking|London/.test(memory.content)) await api('POST', `/memory/${memory.id}/verify`, { action: 'confirm' });
await api('POST', '/memory', { content: 'Lives in Dhaka' });
const peanuts = (await api('GET', '/memory/pending')).items.find((memory) => /peanut/.test(memory.content));
await api('POST', `/memory/${peanuts.id}/verify`, { action: 'correct', corrected_content: 'Is allergic to all nuts' });
const { session_id: trip } = await say('Plan two days of hiking in Sylhet for me and give me the train as a table. শ্রীমঙ্গল যেন থাকে।');
await api('PATCH', `/chat/sessions/${trip}`, { title: 'Weekend in Sylhet', is_pinned: true });
await api('POST', '/chat/regenerate', { session_id: trip });
const project = await api('POST', '/projects', { name: 'Travel', description: 'Short trips by train' });
await api('POST', `/projects/${project.id}/prompts`, { name: 'Guide', content: 'You help {{ user.name }} to travel by train.\n{% if memories %}Known: {{ memories }}{% endif %}\nAnswer in two paragraphs.' });
const { id: tries } = await api('POST', '/chat/sessions', { title: 'Trying things out' });
for (let n = 0; n < 3; n += 1) await api('POST', '/chat', { message: '/fail 500', provider: 'mock', session_id: tries });
const conflict = await until('a conflict', async () => (await api('GET', '/memory/conflicts?status=open'))[0]).catch(() => null);
const views = { chat: `chat/${trip}`, review: 'memory/review', conflict: 'memory/conflicts', memory: `memory/${peanuts.id}`, chats: 'chats', usage: 'usage', prompt: `projects/${project.id}/prompts`, operations: 'operations/queues' };
if (!conflict) delete views.conflict;
for (const theme of ['light', 'dark']) {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
  for (const [name, at] of Object.entries(views)) {
    await page.goto(`${url}/#/${at}`);
    await page.waitForSelector('h1:not(:empty)');
    await page.waitForTimeout(1_500); // a picture, not a test: what is fetched late should be on it
    await page.screenshot({ path: path.join(out, `${name}-${theme}.png`) });
  }
}
await browser.close();
server.kill();
provider.close();
