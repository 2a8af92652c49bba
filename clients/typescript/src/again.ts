// Errors, and when a request is sent again. Nothing here speaks to the network.

export type Problem = { status?: number; code?: string; detail?: string; request_id?: string; errors?: Array<{ field: string; message: string }> };

/** What the server refused or failed at, in its words (RFC 9457): switch on `code`. */
export class APIError extends Error {
  readonly code: string;
  readonly errors: Array<{ field: string; message: string }>;
  readonly requestId: string | undefined;

  constructor(
    readonly status: number,
    problem: Problem,
    readonly headers: Headers = new Headers(),
    /** If a message was accepted and only its answer failed. */
    readonly jobId: string | null = headers.get("x-job-id"),
  ) {
    const code = problem.code ?? `http_${status}`;
    super(`${problem.detail ?? `The server answered ${status}.`} (${code})`);
    this.name = "APIError";
    this.code = code;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
  }

  static async of(response: Response): Promise<APIError> {
    const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
    const problem = isProblem ? ((await response.json()) as Problem) : {};
    if (!isProblem) await response.body?.cancel();
    return new APIError(response.status, problem, response.headers);
  }
}

/** The server could not be reached, or went away and did not come back. */
export class Disconnected extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "Disconnected";
  }
}

/** Longer than this nobody waits before a request is sent again: the error is thrown instead. */
const LONGEST_PAUSE = 60_000;

/** Milliseconds before the next try: half a second, doubled each time up to eight, with jitter. */
export function pause(tried: number): number {
  return Math.min(500 * 2 ** (tried - 1), 8_000) * (0.75 + Math.random() / 2);
}

/** Milliseconds to wait before the same request is sent again; `undefined`: it would not help, or may do something twice. */
export function pauseAfter(error: APIError, tried: number, mayRepeat: boolean): number | undefined {
  // After 5xx it may have been done: a proxy says so too when it has lost the answer. 429 means that it was not.
  const statuses = mayRepeat ? [429, 502, 503, 504] : [429];
  if (error.headers.get("x-should-retry") === "false" || !statuses.includes(error.status)) return undefined;
  const said = error.headers.get("retry-after");
  if (said !== null) {
    const wait = /^\d+$/.test(said) ? Number(said) * 1_000 : pause(tried);
    return wait <= LONGEST_PAUSE ? wait : undefined;
  }
  // A problem without Retry-After is the server's last word; anything else comes from a proxy before it.
  return error.code.startsWith("http_") ? pause(tried) : undefined;
}

/** What a promise gives, unless it is told to stop before. The promise itself goes on, for others who wait for it. */
export function unless<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
    if (signal.aborted) stop();
  });
}

/** Waits, unless it is told to stop. */
export function sleep(milliseconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
