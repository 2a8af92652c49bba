// Our own TypeScript client, as tsc made it, against a running server. The parts to run are arguments; the environment is as in
// tests/python/own_client.py, and RAPPORT_CLIENT is the compiled client.
import assert from "node:assert/strict";
import { createServer } from "node:http";

const { RAPPORT_CLIENT, RAPPORT_URL, CUTTING_URL, LOSING_URL, RAPPORT_KEY, RAPPORT_USER, RAPPORT_PASSWORD } = process.env;
const { APIError, Disconnected, Rapport } = await import(RAPPORT_CLIENT);
const at = (baseUrl) => new Rapport({ baseUrl, apiKey: RAPPORT_KEY });
const words = Array.from({ length: 100 }, (_, n) => `w${n + 1}`);

const all = async (items) => {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
};
const oneTurn = async (client, session) => {
  const { messages } = await client.sessions.messages(session);
  assert.deepEqual(messages.map((message) => message.role), ["user", "assistant"]);
};

const parts = {
  async stream() {
    const client = at(CUTTING_URL);
    const answer = client.stream(`/delay 20 /echo ${words.join(" ")}`);
    const events = await all(answer);
    assert.equal(new Set(events.map((event) => event.id)).size, events.length, "each event once");
    assert.deepEqual([events[0].type, events.at(-1).type], ["job", "done"]);
    const tokens = events.filter((event) => event.type === "token").map((event) => event.data);
    assert.deepEqual(tokens.map((token) => token.index), tokens.map((_, n) => n + 1), "nothing is missing");
    assert.equal(tokens.map((token) => token.delta).join(""), answer.text);
    assert.equal(answer.text, words.join(" "));
    assert.equal(answer.reply.reply, answer.text);
    await oneTurn(client, answer.sessionId);
    assert.deepEqual(await all(at(RAPPORT_URL).jobs.follow(answer.jobId, { after: answer.lastId })), [], "all events were seen");
    const again = at(RAPPORT_URL).jobs.follow(answer.jobId);
    assert.equal((await again.wait()).reply, again.text);
    // What the reader throws between two events is no cut.
    const broken = at(RAPPORT_URL).stream("/tokens 5");
    await assert.rejects(async () => { for await (const _ of broken) throw new Error("mine"); }, /mine/);
  },

  async send() {
    const client = at(LOSING_URL);
    const reply = await client.send("/delay 100 /tokens 5");
    assert.equal(reply.reply, "w1 w2 w3 w4 w5");
    await oneTurn(client, reply.session_id);
    const same = { session_id: reply.session_id, idempotencyKey: "another-key" };
    const [first, second] = [await client.send("/echo same", same), await client.send("/echo same", same)];
    assert.equal(first.message_id, second.message_id);
  },

  async resources() {
    const client = at(RAPPORT_URL);
    const session = await client.sessions.create("Plans");
    await client.send("/echo hello", { session_id: session.id });
    assert.equal((await client.sessions.update(session.id, { is_pinned: true })).is_pinned, true);
    assert.ok((await all(client.sessions.all({ limit: 1 }))).some((one) => one.id === session.id));
    await client.sessions.delete(session.id);
    const memory = await client.memories.add("Likes hiking in the Alps", { memory_type: "preference" });
    assert.equal((await client.memories.search("hiking"))[0].memory.id, memory.id);
    const corrected = await client.memories.verify(memory.id, "correct", { corrected_content: "Likes hiking in Nepal" });
    assert.equal(corrected.content, "Likes hiking in Nepal");
    await client.memories.forget(memory.id);
    const exported = JSON.stringify([{ chat_messages: [{ sender: "human", text: "brought along" }] }]);
    assert.equal((await client.importChats(exported, { extract: false })).sessions, 1);
    assert.equal((await client.importChats(exported, { extract: false })).skipped, 1);
    const { job_id } = await client.request("POST /chat", { body: { message: "/echo typed" } });
    assert.equal((await client.jobs.get(job_id)).status, "succeeded");
  },

  async errors() {
    const client = at(RAPPORT_URL);
    for (const [ask, status, code] of [
      [() => client.sessions.get("sess_nobody"), 404, "not_found"],
      [() => client.send(""), 422, "validation_failed"],
      [() => client.send("/fail 500"), 502, "provider_failed"],
      [() => client.stream("/fail 500").wait(), 502, "provider_failed"],
      [() => new Rapport({ baseUrl: RAPPORT_URL, apiKey: "rk_wrong" }).jobs.list(), 401, "unauthorized"],
    ]) {
      await assert.rejects(ask, (error) => error instanceof APIError && error.status === status && error.code === code, code);
    }
    const gone = new AbortController();
    const answer = client.stream("/delay 1000 /tokens 50", { signal: gone.signal });
    await assert.rejects(async () => { for await (const _ of answer) gone.abort(new Error("enough")); }, /enough/);
    assert.equal((await client.jobs.cancel(answer.jobId)).status, "cancelled");
  },

  async sign_in() {
    const client = new Rapport({ baseUrl: RAPPORT_URL });
    await client.signIn(RAPPORT_USER, RAPPORT_PASSWORD);
    const before = client.token;
    client.token = before.slice(0, -4) + "AAAA"; // as good as one that has ended
    const [user] = await Promise.all([client.request("GET /auth/me"), client.request("GET /auth/me")]);
    assert.equal(user.username, RAPPORT_USER);
    assert.notEqual(client.token, before);
  },

  async retry_after() {
    const keys = [], times = [];
    const server = createServer((request, response) => {
      keys.push(request.headers["idempotency-key"]);
      times.push(performance.now());
      request.resume();
      const busy = keys.length < 2;
      response.writeHead(busy ? 503 : 200, busy ? { "content-type": "application/problem+json", "retry-after": "1" } : { "content-type": "application/json" });
      response.end(JSON.stringify(busy ? { code: "overloaded" } : { reply: "at last" }));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const reply = await at(`http://127.0.0.1:${server.address().port}`).send("hello");
    server.close();
    server.closeAllConnections();
    assert.equal(reply.reply, "at last");
    assert.equal(keys.length, 2);
    assert.equal(new Set(keys).size, 1);
    assert.ok(times[1] - times[0] >= 990, "no sooner than it was told");
  },

  /** A proxy that has lost an answer says 502: what must not be done twice is not sent again, unless it was refused (429). */
  async once_only() {
    let sent = 0;
    const answer = async (url) => (sent++, new Response("", { status: url.endsWith("/verify") ? 429 : 502 }));
    const client = new Rapport({ baseUrl: RAPPORT_URL, apiKey: RAPPORT_KEY, retries: 1, fetch: answer });
    const { memories, jobs } = client;
    for (const [ask, times] of [
      [() => memories.search("x"), 1],
      [() => jobs.cancel("job_x"), 1],
      [() => memories.verify("mem_x"), 2],
      [() => jobs.get("job_x"), 2],
      [() => memories.add("x"), 2],
    ]) {
      sent = 0;
      await assert.rejects(ask, APIError);
      assert.equal(sent, times, String(ask));
    }
    // A sign-in that cannot be renewed is such an error too, however it fails; and who waits for it may stop waiting.
    const never = (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    for (const renewing of [never, async () => { throw new TypeError("fetch failed"); }]) {
      const fetch = (url, init) => (url.endsWith("/auth/refresh") ? renewing(url, init) : Promise.resolve(new Response("", { status: 401 })));
      const expired = new Rapport({ baseUrl: RAPPORT_URL, timeout: 200, fetch });
      expired.keep({ access_token: "old", refresh_token: "one" });
      await assert.rejects(() => expired.jobs.get("job_x"), Disconnected);
      expired.keep({ access_token: "old", refresh_token: "two" });
      const stopped = expired.jobs.get("job_x", { signal: AbortSignal.abort(new Error("enough")) });
      await assert.rejects(stopped, /enough/);
    }
    const waiting = new AbortController();
    const slow = new Rapport({ baseUrl: RAPPORT_URL, fetch: (url, init) => {
      if (!url.endsWith("/auth/refresh")) return Promise.resolve(new Response("", { status: 401 }));
      waiting.abort(new Error("enough"));
      return never(url, init);
    }, timeout: 500 });
    slow.keep({ access_token: "old", refresh_token: "three" });
    await assert.rejects(() => slow.jobs.get("job_x", { signal: waiting.signal }), /enough/);
  },
};

for (const part of process.argv.slice(2)) {
  await parts[part]();
  console.log("ok", part);
}
