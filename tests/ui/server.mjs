// The real binary on a free port in a folder of its own, which can be killed in mid-work and started again where it was.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BINARY = process.env.RAPPORT_BIN ?? path.join(ROOT, 'target/debug/rapport');
/** The files of the UI as they are on disk. */
export const UI = process.env.UI_DIR ?? path.join(ROOT, 'api/assets/ui');

/** Asks until the answer is true (or anything but false and nothing), at most so long. Gives the answer. */
export async function until(what, ask, millis = 15_000) {
  const end = Date.now() + millis;
  for (let last; ;) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = answer;
    } catch (error) { last = error; }
    if (Date.now() > end) throw new Error(`not within ${millis} ms: ${what} (last: ${last?.message ?? JSON.stringify(last)})`);
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => resolve(port)); });
  });
}

export class Server {
  /** `embedded`: the files that are in the binary, whatever UI_DIR says. */
  constructor({ env = {}, embedded = false } = {}) {
    this.dir = fs.mkdtempSync(path.join(process.env.RAPPORT_TEST_DIR ?? os.tmpdir(), 'ui-'));
    this.env = env;
    this.embedded = embedded;
  }

  async start(more = {}) {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}/`;
    const env = {
      PATH: process.env.PATH, HOME: this.dir, DATA_DIR: path.join(this.dir, 'data'), PORT: String(this.port), HOST: '127.0.0.1',
      RATE_LIMIT__REQUESTS_PER_MINUTE: '0', RATE_LIMIT__SIGN_INS_PER_MINUTE: '100000', MEMORY__IDLE_SECONDS: '0.2',
      QUEUE__LEASE_SECONDS: '2', QUEUE__SWEEP_SECONDS: '0.5', SHUTDOWN_GRACE: '1', RUST_LOG: 'info', ...this.env, ...more,
    };
    if (!this.embedded && process.env.UI_DIR) env.UI_DIR = process.env.UI_DIR;
    const log = fs.openSync(path.join(this.dir, 'log'), 'a');
    this.process = spawn(BINARY, [], { cwd: this.dir, env, stdio: ['ignore', log, log] });
    fs.closeSync(log);
    const gone = new Promise((resolve) => { this.process.once('exit', (code, signal) => resolve(code ?? signal)); });
    this.gone = gone;
    let ended = null;
    gone.then((why) => { ended = why; });
    this.process.once('error', (error) => { ended = error.message; });
    await until(`${BINARY} is ready`, async () => {
      if (ended !== null) throw new Error(`it ended (${ended}):\n${this.log()}`);
      return (await fetch(`${this.url}readyz`)).ok;
    }, 20_000);
    return this;
  }

  log() {
    return fs.readFileSync(path.join(this.dir, 'log'), 'utf8').slice(-4_000);
  }

  /** As the power would: nothing is said, nothing is finished. */
  async kill9() {
    this.process.kill('SIGKILL');
    await this.gone;
  }

  async stop() {
    if (this.process && this.process.exitCode === null && this.process.signalCode === null) await this.kill9();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  /** A request to the API; gives the JSON of a good answer. */
  async call(method, route, { token, body, raw, headers = {} } = {}) {
    const response = await fetch(`${this.url}api/v1${route}`, {
      method,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }), ...headers },
      body: raw ?? (body && JSON.stringify(body)),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** A new account: {name, password, token, user}. */
  async account(name = `p${Math.random().toString(36).slice(2, 10)}`, password = 'Correct-horse-1') {
    const { access_token: token, user } = await this.call('POST', '/auth/register', { body: { username: name, password } });
    return { name, password, token, user };
  }
}
