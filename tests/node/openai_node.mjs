// What programs do with openai-node, unmodified: OPENAI_BASE_URL and OPENAI_API_KEY say where. Each argument is a part.
import assert from "node:assert/strict";
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError, toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ maxRetries: 0, timeout: 60_000 });
const user = (content) => [{ role: "user", content }];
const said = (content, more = {}) => client.chat.completions.create({ model: "auto", messages: user(content), ...more });
const all = async (stream) => {
  const seen = [];
  for await (const event of stream) seen.push(event);
  return seen;
};
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const weather = { type: "function", function: { name: "weather", description: "The weather of a city", parameters } };
const Step = z.object({ explanation: z.string(), output: z.string() });

const parts = {
  async chat() {
    const answer = await said("/echo hello world");
    assert.equal(answer.choices[0].message.content, "hello world");
    assert.equal(answer.usage.completion_tokens, 2);
    assert.match(answer.id, /^chatcmpl-/);
    const { data, response, request_id } = await said("/echo x").withResponse();
    assert.equal(data.choices[0].message.content, "x");
    assert.ok(request_id && response.headers.get("x-job-id"));
    const parsed = await client.chat.completions.parse({
      model: "mock", messages: user("anything"), response_format: zodResponseFormat(Step, "step"),
    });
    assert.equal(typeof parsed.choices[0].message.parsed.output, "string");
    const models = await all(client.models.list());
    assert.ok(models.some((model) => model.id === "mock/mock-1"));
  },

  async stream() {
    const chunks = await all(await said("/delay 10 /tokens 5", { stream: true, stream_options: { include_usage: true } }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "w1 w2 w3 w4 w5");
    assert.equal(chunks.at(-1).usage.completion_tokens, 5);
    const runner = client.chat.completions.stream({ model: "mock", messages: user("/tokens 4") });
    assert.equal(await runner.finalContent(), "w1 w2 w3 w4");
    const stopped = await said("/delay 50 /tokens 500", { stream: true });
    for await (const chunk of stopped) if (chunk.choices[0].delta.content) break;
    assert.ok(stopped.controller.signal.aborted);
  },

  async tools() {
    const answer = await said('/tool weather {"city":"Dhaka"}', { tools: [weather] });
    const call = answer.choices[0].message.tool_calls[0];
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Dhaka" });
    // The SDK's own loop calls the function, and asks again.
    const asked = [];
    const weatherOf = (args) => (asked.push(args), "31 degrees");
    for (const stream of [false, true]) {
      const tool = { type: "function", function: { ...weather.function, function: weatherOf, parse: JSON.parse } };
      const runner = client.chat.completions.runTools({ model: "mock", messages: user('/tool weather {"city":"Dhaka"}'), tools: [tool], stream });
      assert.match(await runner.finalContent(), /weather says: 31 degrees/);
    }
    assert.deepEqual(asked, [{ city: "Dhaka" }, { city: "Dhaka" }]);
  },

  async responses() {
    const first = await client.responses.create({ model: "auto", input: "/echo one", store: true });
    assert.equal(first.output_text, "one");
    const items = await all(client.responses.inputItems.list(first.id));
    assert.equal(items[0].content[0].text, "/echo one");
    const parsed = await client.responses.parse({ model: "mock", input: "anything", text: { format: zodTextFormat(Step, "step") } });
    assert.equal(typeof parsed.output_parsed.output, "string");
    const tool = { type: "function", name: "weather", description: "", parameters, strict: true };
    const called = await client.responses.create({ model: "mock", input: '/tool weather {"city":"Dhaka"}', tools: [tool] });
    const call = called.output.find((item) => item.type === "function_call");
    const told = { type: "function_call_output", call_id: call.call_id, output: "31 degrees" };
    const last = await client.responses.create({ model: "mock", input: [told], previous_response_id: called.id, tools: [tool] });
    assert.match(last.output_text, /31 degrees/);
    await client.responses.delete(first.id);
    await assert.rejects(client.responses.retrieve(first.id), NotFoundError);
  },

  async background() {
    const stream = await client.responses.create({ model: "mock", input: "/delay 30 /tokens 30", background: true, stream: true });
    const seen = [];
    for await (const event of stream) {
      seen.push(event);
      if (seen.filter((one) => one.type === "response.output_text.delta").length === 3) break;
    }
    const id = seen[0].response.id;
    const rest = await all(await client.responses.retrieve(id, { stream: true, starting_after: seen.at(-1).sequence_number }));
    const events = [...seen, ...rest];
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    const words = Array.from({ length: 30 }, (_, index) => `w${index + 1}`).join(" ");
    assert.equal(events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta).join(""), words);
    assert.equal(events.at(-1).type, "response.completed");
    // The SDK's helper picks it up from anywhere, and puts it together.
    const again = client.responses.stream({ response_id: id, starting_after: 4 });
    assert.equal((await again.finalResponse()).output_text, words);
    const long = await client.responses.create({ model: "mock", input: "/delay 50 /tokens 2000", background: true });
    const cancelled = await client.responses.cancel(long.id);
    assert.equal(cancelled.status, "cancelled");
  },

  async files() {
    const content = "The quince pump starts at 40 degrees. It stops when the tank is full.\n";
    const file = (name, text) => toFile(Buffer.from(text), name);
    const sent = await client.files.create({ file: await file("pump.txt", content), purpose: "assistants" });
    assert.deepEqual([sent.object, sent.filename, sent.bytes, sent.purpose], ["file", "pump.txt", content.length, "assistants"]);
    assert.equal((await client.files.waitForProcessing(sent.id, { pollInterval: 100 })).status, "processed");
    assert.equal(await (await client.files.content(sent.id)).text(), content);
    assert.deepEqual((await all(client.files.list({ purpose: "assistants" }))).map((one) => one.id), [sent.id]);
    await assert.rejects(client.files.create({ file: await file("a.txt", "x"), purpose: "batch" }), BadRequestError);

    const store = await client.vectorStores.create({ name: "House", file_ids: [sent.id] });
    const poll = { pollIntervalMs: 100 };
    const roof = await client.vectorStores.files.uploadAndPoll(store.id, await file("roof.txt", "The roof of the shed is green."), poll);
    assert.equal(roof.status, "completed");
    await client.vectorStores.files.update(roof.id, { vector_store_id: store.id, attributes: { part: "roof" } });
    const more = [await file("cellar.txt", "The cellar has three rooms."), await file("attic.txt", "The attic is empty.")];
    const batch = await client.vectorStores.fileBatches.uploadAndPoll(store.id, { files: more }, poll);
    assert.deepEqual([batch.status, batch.file_counts.completed], ["completed", 2]);
    assert.equal((await all(client.vectorStores.files.list(store.id, { limit: 3 }))).length, 4);
    const hits = await all(client.vectorStores.search(store.id, { query: "When does the quince pump stop?" }));
    assert.equal(hits[0].file_id, sent.id);
    const filters = { type: "eq", key: "part", value: "roof" };
    const narrow = await all(client.vectorStores.search(store.id, { query: ["quince pump", "roof of the shed"], filters }));
    assert.deepEqual(narrow.map((hit) => hit.filename), ["roof.txt"]);

    const input = "/echo The quince pump stops once the tank is full [1].";
    const asked = { model: "mock", input, tools: [{ type: "file_search", vector_store_ids: [store.id] }], include: ["file_search_call.results"] };
    const made = await client.responses.create(asked);
    assert.equal(made.output[0].results[0].file_id, sent.id);
    const part = made.output[1].content[0];
    assert.deepEqual(part.annotations, [{ type: "file_citation", file_id: sent.id, filename: "pump.txt", index: part.text.indexOf("[1]") }]);
    const events = await all(await client.responses.create({ ...asked, stream: true }));
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    const searched = events.findIndex((event) => event.type === "response.file_search_call.completed");
    assert.ok(searched > 0 && searched < events.findIndex((event) => event.type === "response.output_text.delta"));
    const id = events[0].response.id;
    assert.deepEqual(await all(await client.responses.retrieve(id, { stream: true, starting_after: searched })), events.slice(searched + 1));
    const final = await client.responses.stream(asked).finalResponse();
    assert.equal(final.output[1].content[0].annotations[0].file_id, sent.id);
    await client.vectorStores.delete(store.id);
    await assert.rejects(client.vectorStores.retrieve(store.id), NotFoundError);
    for (const one of await all(client.files.list())) await client.files.delete(one.id);
  },

  async embeddings() {
    const made = await client.embeddings.create({ model: "auto", input: ["tea", "coffee"] });
    assert.equal(made.data.length, 2);
    const plain = await client.embeddings.create({ model: "auto", input: "tea", encoding_format: "float" });
    // Without a format it asks for base64, and reads that by itself.
    assert.deepEqual(made.data[0].embedding.map((n) => n.toFixed(5)), plain.data[0].embedding.map((n) => n.toFixed(5)));
  },

  async errors() {
    const nobody = new OpenAI({ apiKey: "sk-wrong", maxRetries: 0 });
    await assert.rejects(nobody.models.list(), AuthenticationError);
    await assert.rejects(said("x", { model: "nobody/nothing" }), NotFoundError);
    await assert.rejects(said("x", { colour: "red" }), (error) => error instanceof BadRequestError && error.param === "colour" && error.code === "unknown_parameter");
    await assert.rejects(said("/fail 429"), RateLimitError);
    const broken = await said("/tokens 2 /fail 503", { stream: true }).then(all).catch((error) => error);
    assert.ok(broken instanceof APIError, broken);
  },
};

for (const name of process.argv.slice(2)) {
  await parts[name]();
  console.log("ok", name);
}
process.exit(0);
