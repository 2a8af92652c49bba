// What programs do with Vercel's AI SDK, unmodified, by its two providers for OpenAI's API: chat completions (openai-compatible) and
// responses (openai). OPENAI_BASE_URL and OPENAI_API_KEY say where. Each argument is a part.
import assert from "node:assert/strict";
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";

const { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey } = process.env;
const compatible = createOpenAICompatible({ name: "rapport", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI({ baseURL, apiKey });
const models = { completions: compatible("mock"), chat: openai.chat("mock"), responses: openai.responses("mock") };
const settings = { maxRetries: 0 };
const asked = [];
const tools = {
  weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (asked.push(city), { degrees: 31 }),
  }),
};

const each = (part) => async () => {
  for (const [name, model] of Object.entries(models)) await part(model, name).catch((error) => { throw new Error(`${name}: ${error.stack}`, { cause: error }); });
};

const parts = {
  text: each(async (model) => {
    const answer = await generateText({ ...settings, model, system: "Be kind.", prompt: "/system" });
    assert.equal(answer.text, "Be kind.");
    assert.equal(answer.finishReason, "stop");
    assert.ok(answer.usage.outputTokens >= 2 && answer.usage.totalTokens > 2, JSON.stringify(answer.usage));
  }),

  stream: each(async (model) => {
    const answer = streamText({ ...settings, model, prompt: "/delay 10 /tokens 6" });
    const words = [];
    for await (const word of answer.textStream) words.push(word);
    assert.equal(words.join(""), "w1 w2 w3 w4 w5 w6");
    assert.ok(words.length > 1, "word by word");
    assert.equal((await answer.usage).outputTokens, 6);
    const stop = new AbortController();
    const long = streamText({ ...settings, model, prompt: "/delay 50 /tokens 500", abortSignal: stop.signal });
    const seen = [];
    for await (const part of long.fullStream) {
      seen.push(part.type);
      if (part.type === "text-delta") stop.abort();
    }
    assert.equal(seen.at(-1), "abort");
  }),

  tools: each(async (model) => {
    const prompt = '/tool weather {"city":"Dhaka"}';
    const stopWhen = stepCountIs(3);
    const answer = await generateText({ ...settings, model, prompt, tools, stopWhen });
    assert.equal(answer.steps.length, 2);
    assert.match(answer.text, /31/);
    const streamed = streamText({ ...settings, model, prompt, tools, stopWhen });
    assert.match((await streamed.steps).at(-1).text, /31/);
    assert.deepEqual(asked.splice(0), ["Dhaka", "Dhaka"]);
  }),

  object: each(async (model) => {
    const schema = z.object({ city: z.string(), degrees: z.number() });
    const { object } = await generateObject({ ...settings, model, schema, prompt: "anything" });
    assert.equal(typeof object.degrees, "number");
  }),

  embeddings: async () => {
    const values = ["tea", "coffee"];
    const { embeddings } = await embedMany({ ...settings, model: compatible.textEmbeddingModel("auto"), values });
    const { embeddings: same } = await embedMany({ ...settings, model: openai.embedding("auto"), values });
    assert.equal(embeddings.length, 2);
    assert.deepEqual(embeddings[0], same[0]);
  },

  errors: each(async (model) => {
    const wrong = generateText({ ...settings, model, prompt: "/fail 429" });
    await assert.rejects(wrong, (error) => APICallError.isInstance(error) && error.statusCode === 429 && error.isRetryable);
  }),
};

for (const name of process.argv.slice(2)) {
  await parts[name]();
  console.log("ok", name);
}
process.exit(0);
