// An answer while it is written: each event once, whatever the connection does meanwhile.

import type { ChatReply } from "./api.js";
import { APIError, Disconnected, pause, sleep } from "./again.js";

/** `job`, `memory`, `token`, `tool_call`, `tool_result`, `reset`, `waiting`, `done`. */
export type Event = { id: string; type: string; data: Record<string, any> };

/** The server says something every 15 seconds while a stream lives. Three times silence: the connection is dead. */
const SILENCE = 45_000;

/** Events of a stream's bytes. What is cut off in the middle of an event is no event. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let held = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("nothing was heard of the server")), SILENCE);
      });
      const { done, value } = await Promise.race([reader.read(), silence]);
      clearTimeout(timer);
      if (done) return;
      const blocks = (held + decoder.decode(value, { stream: true })).split("\n\n");
      held = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } finally {
    clearTimeout(timer);
    // A connection that is dead already cannot be closed; that is no news.
    await reader.cancel().catch(() => undefined);
  }
}

function parsed(block: string): Event | undefined {
  const fields: Record<string, string> = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
  }
  const { id = "", event, data } = fields;
  // Otherwise a heartbeat, or a hint to reconnect.
  return event !== undefined && data !== undefined ? { id, type: event, data: JSON.parse(data) } : undefined;
}

export type Position = { jobId: string | undefined; lastId: string | undefined };

/** Opens the stream behind a position: before the first event by sending the message (again), then by its job. */
export type Open = (at: Position) => Promise<Response>;

/** Iterating gives each event once; `text` is what was said so far, `reply` the whole answer at the end. A failure is thrown. */
export class Answer implements AsyncIterable<Event> {
  /** After a `reset` it begins anew. */
  text = "";
  reply: ChatReply | undefined;
  sessionId: string | undefined;
  private ended = false;

  constructor(
    private readonly open: Open,
    private readonly retries: number,
    private readonly signal: AbortSignal | undefined,
    public jobId?: string,
    /** Of the last event: `jobs.follow(jobId, { after: lastId })` goes on from here, elsewhere too. */
    public lastId?: string,
  ) {}

  /** Reads to the end; gives the whole answer. */
  async wait(): Promise<ChatReply | undefined> {
    for await (const _ of this);
    return this.reply;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event> {
    let cuts = 0;
    while (!this.ended) {
      const response = await this.open({ jobId: this.jobId, lastId: this.lastId });
      if (response.status === 204 || response.body === null) return; // there is nothing after what was seen
      let cut: unknown;
      const read = events(response.body);
      try {
        for (;;) {
          // Only what reading throws is a cut; what the caller throws between two events is the caller's.
          const next = await read.next().catch((error: unknown) => {
            this.signal?.throwIfAborted();
            cut = error;
            return { done: true as const, value: undefined };
          });
          if (next.done) break;
          cuts = 0;
          this.take(next.value);
          yield next.value;
        }
      } finally {
        await read.return(undefined);
      }
      if (this.ended) return;
      cuts += 1;
      if (cuts > this.retries) throw new Disconnected(`the stream of ${this.jobId} was cut off again and again`, cut);
      await sleep(pause(cuts), this.signal);
    }
  }

  private take(event: Event): void {
    this.lastId = event.id || this.lastId;
    const { data } = event;
    if (event.type === "job") {
      this.jobId = data.job_id;
      this.sessionId = data.session_id;
    } else if (event.type === "token") {
      this.text += data.delta ?? "";
    } else if (event.type === "reset") {
      this.text = "";
    } else if (event.type === "done") {
      this.ended = true;
      this.reply = data as ChatReply;
    } else if (event.type === "error") {
      this.ended = true;
      throw new APIError(data.status ?? 500, data, new Headers(), this.jobId ?? null);
    }
  }
}
