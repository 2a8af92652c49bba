// The AI SDK's chat (what `useChat` is made of, without React) over a server of one's own that keeps nothing: a background response is
// the stream that goes on without its reader, and `starting_after` is how a reader comes back.
// https://ai-sdk.dev/docs/ai-sdk-ui/chatbot-resume-streams
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { AbstractChat, DefaultChatTransport, JsonToSseTransformStream, UI_MESSAGE_STREAM_HEADERS } from "ai";
import OpenAI from "openai";

const openai = new OpenAI();
/** Which response answers which chat. It would stand beside the chat in a database. */
const active = new Map();

/** A response's events as the AI SDK's, each with its number, which a reader comes back with. */
function asParts(events, chat) {
  return new ReadableStream({
    async start(controller) {
      const send = (part) => controller.enqueue(part);
      try {
        for await (const event of events) {
          if (event.type === "response.created") {
            active.set(chat, event.response.id);
            send({ type: "start", messageId: event.response.id });
          } else if (event.type === "response.content_part.added") {
            send({ type: "text-start", id: event.item_id });
          } else if (event.type === "response.output_text.delta") {
            send({ type: "text-delta", id: event.item_id, delta: event.delta });
          } else if (event.type === "response.output_text.done") {
            send({ type: "text-end", id: event.item_id });
          } else if (event.type === "response.completed") {
            active.delete(chat);
            send({ type: "finish" });
          } else if (event.type === "response.failed") {
            active.delete(chat);
            send({ type: "error", errorText: event.response.error.message });
          }
          send({ type: "data-number", data: event.sequence_number, transient: true });
        }
        controller.close();
      } catch {
        // The reader is gone. The response goes on.
      }
    },
  });
}

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://here");
  let events, chat;
  if (request.method === "POST") {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { id, messages } = JSON.parse(body);
    chat = id;
    const input = messages.map(({ role, parts }) => ({ role, content: parts.map((part) => part.text ?? "").join("") }));
    events = await openai.responses.create({ model: "mock", input, background: true, stream: true });
  } else {
    chat = pathname.split("/").at(-2);
    const id = active.get(chat);
    if (id === undefined) return response.writeHead(204).end();
    const after = searchParams.get("after");
    events = await openai.responses.retrieve(id, { stream: true, ...(after === null ? {} : { starting_after: Number(after) }) });
  }
  response.writeHead(200, UI_MESSAGE_STREAM_HEADERS);
  request.socket.on("close", () => events.controller.abort());
  for await (const line of asParts(events, chat).pipeThrough(new JsonToSseTransformStream())) response.write(line);
  response.end();
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const api = `http://127.0.0.1:${server.address().port}/api/chat`;

/** A cut is a `network error` in browsers, by which the SDK knows that it may go on; node says `terminated`. */
async function fetchAsBrowsersDo(...asked) {
  const response = await fetch(...asked);
  if (response.body === null) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(error.message === "terminated" ? new TypeError("network error") : error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, response);
}

class Chat extends AbstractChat {
  constructor(init, seen) {
    const state = {
      messages: init.messages ?? [],
      status: "ready",
      error: undefined,
      pushMessage(message) { this.messages = [...this.messages, message]; seen(); },
      popMessage() { this.messages = this.messages.slice(0, -1); },
      replaceMessage(index, message) { this.messages = this.messages.with(index, structuredClone(message)); seen(); },
      snapshot: structuredClone,
    };
    super({ ...init, state });
  }
}

const said = (chat) => chat.messages.filter(({ role }) => role === "assistant").map(({ parts }) => parts.map((part) => part.text ?? "").join(""));
const words = Array.from({ length: 60 }, (_, n) => `w${n + 1}`).join(" ");
const question = { text: `/delay 30 /echo ${words}` };

/** Starts an answer, and gives the chat once some of it is there. */
async function begun(init) {
  let chat;
  const some = new Promise((resolve) => {
    chat = new Chat(init, () => said(chat)[0]?.includes("w9 ") && resolve());
  });
  const ended = chat.sendMessage(question);
  await some;
  return { chat, ended };
}

const parts = {
  /** The page is loaded anew: another chat with the messages that were stored, and the stream from its beginning. */
  async reload() {
    const { chat: before } = await begun({ id: "reload", transport: new DefaultChatTransport({ api }) });
    await before.stop();
    assert.ok(said(before)[0].length < words.length, "it had not ended");
    const after = new Chat({ id: "reload", messages: before.messages.slice(0, 1), transport: new DefaultChatTransport({ api }) }, () => undefined);
    await after.resumeStream();
    assert.deepEqual(said(after), [words]);
    assert.equal(after.status, "ready");
    // Nothing is left to resume.
    await after.resumeStream();
    assert.deepEqual(said(after), [words]);
  },

  /** The connection is cut while the page stays: the same chat goes on behind the last event it has. */
  async cut() {
    let number;
    const asked = [];
    const transport = new DefaultChatTransport({
      api,
      fetch: fetchAsBrowsersDo,
      resumeStreamIsReplay: false,
      prepareReconnectToStreamRequest: ({ id, api }) => {
        asked.push(number);
        return { api: `${api}/${id}/stream?after=${number}` };
      },
    });
    const { chat, ended } = await begun({ id: "cut", transport, onData: (part) => (number = part.data) });
    server.closeAllConnections();
    await ended;
    assert.equal(chat.status, "error");
    const before = said(chat)[0];
    await chat.resumeStream();
    assert.ok(before.length < words.length && asked[0] > 0);
    assert.deepEqual(said(chat), [words], "whole, and nothing twice");
  },
};

for (const part of process.argv.slice(2)) {
  await parts[part]();
  console.log("ok", part);
}
server.close();
server.closeAllConnections();
