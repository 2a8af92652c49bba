// Requests to the API: with the token, with a key against doubling, and with errors as the API words them.
import { at } from './paths.js';
import * as auth from './auth.js';
import { need } from '../core/i18n.js';
import { outdated, signInNeeded } from '../core/store.js';

/**
 * What went wrong, in the API's words; `offline` when nothing came back at all.
 * @typedef {{field: string, message: string, code?: string, params?: Record<string, any>}} Wrong
 * @typedef {{status?: number, code?: string, title?: string, detail?: string, errors?: Wrong[], request_id?: string,
 *   offline?: boolean, retryAfter?: number | null, job?: string | null}} Fields
 * @typedef {{places?: Record<string, any>, query?: Record<string, any> | null, body?: any, key?: string, signal?: AbortSignal,
 *   headers?: Record<string, string>, anonymous?: boolean, keepalive?: boolean}} Options
 */
export class Problem extends Error {
  /** @type {number} */ status;
  /** @type {string} */ code;
  /** @type {string | undefined} */ detail;
  /** @type {Fields['errors']} */ errors;
  /** @type {boolean | undefined} */ offline;
  /** @type {number | null | undefined} */ retryAfter;
  /** @type {string | null | undefined} */ job;

  /** @param {Fields} fields */
  constructor(fields) {
    super(fields.detail ?? fields.code);
    Object.assign(this, fields);
  }
}

/** A key for a POST that must happen once. Works over plain http, where `crypto.randomUUID` is missing. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

let here = null;
/** The server's version is part of each answer: another one than the page's means that it was upgraded. */
function compare(response) {
  const version = response.headers.get('x-rapport-ui');
  if (!version) return;
  here ??= new URL(import.meta.url).pathname.match(/\/ui\/([^/]+)\//)?.[1] ?? version;
  if (version !== here) outdated.value = true;
}

/** The words for wrong fields come when a field is wrong. Without them the API's own are shown. */
const WORDS_WITHIN = 3_000;

export async function problemOf(response) {
  const retryAfter = Number(response.headers.get('retry-after')) || null;
  /** @type {Fields} */
  let body = {};
  try { body = await response.json(); } catch { /* a proxy's page */ }
  if (body.errors?.length) await Promise.race([need('wrong').catch(() => {}), quiet(WORDS_WITHIN)]);
  return new Problem({ status: response.status, code: 'unknown', detail: response.statusText, ...body, retryAfter,
    job: response.headers.get('x-job-id') });
}

/**
 * A response, whatever its status; throws a Problem with `offline` when there is none.
 * @param {string} method
 * @param {string} name
 * @param {Options} options
 */
export async function raw(method, name, options = {}) {
  const { places, query, body, key, signal, headers = {}, anonymous, keepalive } = options;
  for (let attempt = 0; ; attempt += 1) {
    const sent = { ...headers };
    let token = null;
    try {
      token = anonymous ? null : await auth.current();
    } catch (error) {
      throw new Problem({ status: error.status ?? 0, code: 'offline', offline: true, detail: '' });
    }
    if (token) sent.Authorization = `Bearer ${token}`;
    if (key) sent['Idempotency-Key'] = key;
    let payload = body;
    if (body !== undefined && !(body instanceof Blob)) {
      sent['Content-Type'] = 'application/json';
      payload = JSON.stringify(body);
    }
    let response;
    try {
      response = await fetch(at(name, places, query), { method, headers: sent, body: payload, signal, keepalive, credentials: 'same-origin' });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Problem({ status: 0, code: 'offline', offline: true, detail: '' });
    }
    compare(response);
    if (response.status !== 401 || anonymous) return response;
    auth.refused(token);
    if (attempt === 0 && token) continue;
    // Asked for over the page: what was being written stays, and the request goes on after.
    await signInAgain();
  }
}

let waiting = null;
function signInAgain() {
  waiting ??= new Promise((resolve) => {
    signInNeeded.value = true;
    const stop = signInNeeded.subscribe((needed) => {
      if (needed) return;
      queueMicrotask(() => stop());
      waiting = null;
      resolve();
    });
  });
  return waiting;
}

/**
 * JSON of a good answer (null for none); throws a Problem for all others.
 * @param {string} method
 * @param {string} name
 * @param {Options} options
 * @returns {Promise<any>}
 */
export async function call(method, name, options = {}) {
  const response = await raw(method, name, options);
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return null;
  const kind = response.headers.get('content-type') ?? '';
  return kind.includes('json') ? response.json() : response.text();
}

export const get = (name, places, query, options) => call('GET', name, { places, query, ...options });
export const post = (name, places, body = {}, options) => call('POST', name, { places, body, ...options });
export const patch = (name, places, body) => call('PATCH', name, { places, body });
export const put = (name, places, body) => call('PUT', name, { places, body });
export const remove = (name, places, body) => call('DELETE', name, { places, body });

/**
 * Again after a passing failure, with growing pauses, as long as `go()` says so. The key makes it happen once.
 * @template T
 * @param {() => Promise<T>} act
 * @param {(problem?: Problem) => boolean} go
 * @returns {Promise<T>}
 */
export async function insistently(act, go = () => true) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      return await act();
    } catch (error) {
      const passing = error instanceof Problem && (error.offline || [429, 502, 503, 504].includes(error.status));
      // A spent budget comes back tomorrow: that is said, not waited for.
      if (!passing || error.job || error.retryAfter > 60 || !go(error)) throw error;
      await quiet(error.retryAfter ? error.retryAfter * 1000 : pause * (0.75 + Math.random() / 2));
    }
  }
}

/**
 * A pause that ends early when the network comes back.
 * @returns {Promise<void>}
 */
export function quiet(millis) {
  return new Promise((resolve) => {
    const done = () => { clearTimeout(timer); removeEventListener('online', done); resolve(); };
    const timer = setTimeout(done, millis);
    addEventListener('online', done);
  });
}
