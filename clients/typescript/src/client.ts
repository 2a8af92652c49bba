// A Rapport server, as one user.

import { repeatable, type ChatBody, type ChatReply, type ChatsImported, type JobView, type MemoryBody, type MemoryView, type Operations, type SearchBody, type SearchHit, type Session, type Tokens, type VerifyBody } from "./api.js";
import { APIError, Disconnected, pause, pauseAfter, sleep, unless } from "./again.js";
import { Answer } from "./stream.js";

export type Settings = {
  /** Where the server is, without `/api/v1`. */
  baseUrl: string;
  /** An API key; or none, and then `signIn`. */
  apiKey?: string;
  /** How often a request is sent again, or a stream reopened, before that is an error. Default: 5. */
  retries?: number;
  /** Milliseconds for one try of a request. Default: 90,000. */
  timeout?: number;
  fetch?: typeof fetch;
};

type Name = keyof Operations;
type Asked<N extends Name> = {
  path?: Operations[N]["path"];
  query?: Operations[N]["query"];
  body?: Operations[N]["body"];
  idempotencyKey?: string;
  signal?: AbortSignal;
};
/** What must be given is asked for: an operation with a variable in its path needs `path`, one with a body `body`. */
type Needed<N extends Name> = Asked<N> &
  (keyof Operations[N]["path"] extends never ? unknown : { path: Operations[N]["path"] }) &
  (undefined extends Operations[N]["body"] ? unknown : { body: Operations[N]["body"] });
type Rest<N extends Name> = Record<never, never> extends Needed<N> ? [asked?: Needed<N>] : [asked: Needed<N>];

export type Sent = Omit<ChatBody, "message"> & { idempotencyKey?: string; signal?: AbortSignal };
type Init = { method: string; headers: Record<string, string>; body?: string | Blob; signal?: AbortSignal };

/** The server is asked to wait so many seconds at most for a job; then it is asked again. */
const WAIT = 30;

export class Rapport {
  readonly sessions = new Sessions(this);
  readonly jobs = new Jobs(this);
  readonly memories = new Memories(this);
  readonly retries: number;
  private readonly base: string;
  private token: string | undefined;
  private refresh: string | undefined;
  private renewing: Promise<boolean> | undefined;

  constructor(private readonly settings: Settings) {
    this.base = settings.baseUrl.replace(/\/+$/, "") + "/api/v1";
    this.token = settings.apiKey;
    this.retries = settings.retries ?? 5;
  }

  /** Signs in by an email or a username. The tokens are kept here, and made anew when they end. */
  async signIn(username: string, password: string): Promise<void> {
    this.keep(await this.request("POST /auth/login", { body: { username, password } }));
  }

  /** Any operation of the API, with its types: `request("GET /jobs/{id}", { path: { id } })`. */
  async request<N extends Name>(name: N, ...[asked]: Rest<N>): Promise<Operations[N]["result"]> {
    const { path, query, body, idempotencyKey, signal } = (asked ?? {}) as Asked<Name>;
    const [method, route] = name.split(" ") as [string, string];
    const url = filled(route, path ?? {}) + stated(query ?? {});
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["content-type"] = "application/json";
    if (repeatable.has(name)) headers["idempotency-key"] = idempotencyKey ?? newKey();
    const init: Init = { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal };
    const { response, content } = await this.answer(url, init, (response) => response.arrayBuffer());
    if (content.byteLength === 0) return undefined as Operations[N]["result"];
    const kind = response.headers.get("content-type") ?? "";
    const text = () => new TextDecoder().decode(content);
    return (kind.startsWith("application/json") ? JSON.parse(text()) : kind.startsWith("text/") ? text() : content) as Operations[N]["result"];
  }

  /** Sends a message and waits for its answer, however long it takes. The message is accepted once, however often the connection
   * breaks meanwhile. */
  async send(message: string, { idempotencyKey, signal, ...choices }: Sent = {}): Promise<ChatReply> {
    try {
      const answer = await this.request("POST /chat", { body: { message, ...choices }, idempotencyKey, signal });
      return "reply" in answer ? answer : ((await this.jobs.result(answer.id, { signal })) as ChatReply);
    } catch (error) {
      // Sent again while the first is being answered.
      if (!(error instanceof APIError) || error.code !== "idempotency_running" || !error.jobId) throw error;
      return (await this.jobs.result(error.jobId, { signal })) as ChatReply;
    }
  }

  /** Sends a message and streams its answer; goes on by itself after a cut. Nothing is sent before it is read. */
  stream(message: string, { idempotencyKey, signal, ...choices }: Sent = {}): Answer {
    const key = idempotencyKey ?? newKey();
    const body = JSON.stringify({ message, ...choices });
    return new Answer((at) => {
      if (at.jobId !== undefined) return this.events(at.jobId, at.lastId, signal);
      // Before the first event the message itself is sent again: its key keeps it one message.
      const headers = { "content-type": "application/json", "idempotency-key": key };
      return this.open("/chat/stream", { method: "POST", headers, body, signal });
    }, this.retries, signal);
  }

  /** Takes in the file that is an export of ChatGPT, Claude, Open WebUI or LibreChat (JSON); the same file again adds nothing. `extract`:
   * whether it is read for memories. */
  async importChats(file: string | Blob, { extract = true, signal }: { extract?: boolean; signal?: AbortSignal } = {}): Promise<ChatsImported> {
    const headers = { "content-type": "application/json", prefer: "respond-async", "idempotency-key": newKey() };
    const init: Init = { method: "POST", headers, body: file, signal };
    const { content } = await this.answer(`/chat/sessions/import?extract=${extract}`, init, (response) => response.json());
    const answer = content as ChatsImported | JobView;
    // Done before it was looked at: the answer is the result itself.
    return "sessions" in answer ? answer : ((await this.jobs.result(answer.id, { signal })) as ChatsImported);
  }

  /** A job's events, as a stream that is still open. */
  events(jobId: string, after: string | undefined, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = after === undefined ? {} : { "last-event-id": after };
    return this.open(filled("/jobs/{id}/events", { id: jobId }), { method: "GET", headers, signal });
  }

  private async open(url: string, init: Init): Promise<Response> {
    return (await this.answer(url, init, async () => undefined)).response;
  }

  /** The answer to a request and what `read` makes of it, sent again where that helps and does nothing twice. */
  private async answer<T>(url: string, init: Init, read: (response: Response) => Promise<T>): Promise<{ response: Response; content: T }> {
    const mayRepeat = ["GET", "PUT", "DELETE"].includes(init.method) || "idempotency-key" in init.headers;
    let renewed = false;
    for (let tried = 1; ; tried++) {
      const token = this.token;
      let refused: APIError;
      try {
        const { response, content } = await this.once(url, init, token, read);
        if (content !== undefined || response.ok) return { response, content: content as T };
        refused = await APIError.of(response);
      } catch (error) {
        init.signal?.throwIfAborted();
        if (tried > this.retries || !mayRepeat) throw new Disconnected(`${init.method} ${url}: ${String(error)}`, error);
        await sleep(pause(tried), init.signal);
        continue;
      }
      if (refused.status === 401 && !renewed && (await unless(init.signal, this.renew(token)))) {
        renewed = true;
        continue;
      }
      const wait = tried <= this.retries ? pauseAfter(refused, tried, mayRepeat) : undefined;
      if (wait === undefined) throw refused;
      await sleep(wait, init.signal);
    }
  }

  private async once<T>(url: string, init: Init, token: string | undefined, read: (response: Response) => Promise<T>) {
    const headers = token === undefined ? init.headers : { ...init.headers, authorization: `Bearer ${token}` };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("no answer in time")), this.settings.timeout ?? 90_000);
    const stop = () => late.abort(init.signal?.reason);
    init.signal?.addEventListener("abort", stop, { once: true });
    init.signal?.throwIfAborted();
    try {
      const response = await (this.settings.fetch ?? fetch)(this.base + url, { ...init, headers, signal: late.signal });
      const content = response.ok ? await read(response) : undefined;
      // A stream that goes on is still ended by the caller's signal.
      if (content !== undefined) init.signal?.removeEventListener("abort", stop);
      return { response, content };
    } finally {
      clearTimeout(timer);
    }
  }

  private keep(tokens: Tokens): void {
    this.token = tokens.access_token;
    this.refresh = tokens.refresh_token;
  }

  /** Whether there is another token than the one that was refused. */
  private async renew(spent: string | undefined): Promise<boolean> {
    if (this.token !== spent) return true; // somebody else has renewed it meanwhile
    if (this.renewing === undefined && this.refresh === undefined) return false;
    // A refresh token is good for one time: all who wait share one request, and it is not sent again if its answer is lost.
    this.renewing ??= this.exchange(this.refresh as string).finally(() => (this.renewing = undefined));
    return this.renewing;
  }

  private async exchange(token: string): Promise<boolean> {
    this.refresh = undefined;
    const headers = { "content-type": "application/json" };
    const init: Init = { method: "POST", headers, body: JSON.stringify({ refresh_token: token }) };
    try {
      const { response, content } = await this.once("/auth/refresh", init, undefined, (response) => response.json());
      if (response.ok) this.keep(content as Tokens);
      else await response.body?.cancel();
      return response.ok;
    } catch (error) {
      throw new Disconnected("the sign-in could not be renewed: sign in again", error);
    }
  }
}

/** A page after the other of a list. */
async function* all<T>(page: (cursor: string | undefined) => Promise<{ items: T[]; next_cursor?: string | null }>): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const { items, next_cursor } = await page(cursor);
    yield* items;
    cursor = next_cursor ?? undefined;
  } while (cursor !== undefined);
}

/** Conversations. */
class Sessions {
  constructor(private readonly client: Rapport) {}

  create(title?: string, projectId?: string): Promise<Session> {
    return this.client.request("POST /chat/sessions", { body: { title, project_id: projectId } });
  }
  /** A page of them, newest first. */
  list(query: Operations["GET /chat/sessions"]["query"] = {}) {
    return this.client.request("GET /chat/sessions", { query });
  }
  all(query: Operations["GET /chat/sessions"]["query"] = {}): AsyncGenerator<Session> {
    return all((cursor) => this.list({ limit: 200, ...query, cursor }));
  }
  get(id: string) {
    return this.client.request("GET /chat/sessions/{id}", { path: { id } });
  }
  messages(id: string, query: Operations["GET /chat/sessions/{id}/messages"]["query"] = {}) {
    return this.client.request("GET /chat/sessions/{id}/messages", { path: { id }, query });
  }
  update(id: string, changes: Operations["PATCH /chat/sessions/{id}"]["body"]) {
    return this.client.request("PATCH /chat/sessions/{id}", { path: { id }, body: changes });
  }
  async delete(id: string): Promise<void> {
    await this.client.request("DELETE /chat/sessions/{id}", { path: { id } });
  }
}

/** What is slow: answers, imports, exports. */
class Jobs {
  constructor(private readonly client: Rapport) {}

  get(id: string, { wait, signal }: { wait?: number; signal?: AbortSignal } = {}): Promise<JobView> {
    return this.client.request("GET /jobs/{id}", { path: { id }, query: { wait }, signal });
  }
  /** A page of them, newest first. */
  list(query: Operations["GET /jobs"]["query"] = {}) {
    return this.client.request("GET /jobs", { query });
  }
  all(query: Operations["GET /jobs"]["query"] = {}): AsyncGenerator<JobView> {
    return all((cursor) => this.list({ limit: 200, ...query, cursor }));
  }
  /** Waits until it has ended, however long that takes. */
  async wait(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<JobView> {
    for (;;) {
      const job = await this.get(id, { wait: WAIT, signal });
      if (["succeeded", "failed", "cancelled"].includes(job.status)) return job;
    }
  }
  /** Waits, and gives what it came to. Its failure is thrown. */
  async result(id: string, options: { signal?: AbortSignal } = {}): Promise<unknown> {
    const job = await this.wait(id, options);
    if (job.status === "failed" && !job.result) {
      const problem = (job.error ?? {}) as { status?: number };
      throw new APIError(problem.status ?? 500, problem, new Headers(), id);
    }
    return job.result;
  }
  /** Its events, from the first or after one: goes on by itself after a cut. */
  follow(id: string, { after, signal }: { after?: string; signal?: AbortSignal } = {}): Answer {
    return new Answer((at) => this.client.events(id, at.lastId, signal), this.client.retries, signal, id, after);
  }
  cancel(id: string): Promise<JobView> {
    return this.client.request("POST /jobs/{id}/cancel", { path: { id } });
  }
  retry(id: string): Promise<JobView> {
    return this.client.request("POST /jobs/{id}/retry", { path: { id } });
  }
}

/** What is remembered of the user. */
class Memories {
  constructor(private readonly client: Rapport) {}

  add(content: string, fields: Omit<MemoryBody, "content"> = {}): Promise<MemoryView> {
    return this.client.request("POST /memory", { body: { content, ...fields } });
  }
  /** A page of them. */
  list(query: Operations["GET /memory"]["query"] = {}) {
    return this.client.request("GET /memory", { query });
  }
  all(query: Operations["GET /memory"]["query"] = {}): AsyncGenerator<MemoryView> {
    return all((cursor) => this.list({ limit: 200, ...query, cursor }));
  }
  get(id: string): Promise<MemoryView> {
    return this.client.request("GET /memory/{id}", { path: { id }, query: {} });
  }
  search(query: string, choices: Omit<SearchBody, "query"> = {}): Promise<SearchHit[]> {
    return this.client.request("POST /memory/search", { body: { query, ...choices } });
  }
  /** `confirm`, `reject`, or `correct` with `corrected_content`. */
  verify(id: string, action: string = "confirm", fields: Omit<VerifyBody, "action"> = {}): Promise<MemoryView> {
    return this.client.request("POST /memory/{id}/verify", { path: { id }, body: { action, ...fields } });
  }
  async forget(id: string): Promise<void> {
    await this.client.request("DELETE /memory/{id}", { path: { id } });
  }
}

function newKey(): string {
  return crypto.randomUUID();
}

/** `/jobs/{id}` with its id. */
function filled(route: string, values: Record<string, string>): string {
  return route.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
}

/** The query, without what was left out. */
function stated(query: Record<string, unknown>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return given.length === 0 ? "" : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
