// Who is signed in. The access token lives in memory alone; the refresh token is in a cookie that no script can read.
import { at } from './paths.js';

const SESSION = { 'X-Rapport-Session': 'cookie' };
let token = null;
let goodUntil = 0;
/** Which renewal the token came from. The tab that made it holds a lock of this name, for the others to see. */
const RENEWED = 'rapport.renewed/';
let renewal = null;
let letGo = () => {};
let running = null;

const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('rapport.session') : null;
const listeners = new Set();

/** Calls `heard` with what other tabs did: `{kind: 'signed-in' | 'signed-out', user}`. */
export const onOtherTabs = (heard) => { listeners.add(heard); };
channel?.addEventListener('message', ({ data }) => {
  if (data.kind === 'token') keep(data);
  else if (data.kind === 'signed-out') forget();
  if (data.kind !== 'token') for (const heard of listeners) heard(data);
});

function keep({ access, until, mark }) {
  letGo();
  token = access;
  renewal = mark;
  goodUntil = until;
}

function forget() {
  letGo();
  token = null;
  goodUntil = 0;
}

/** Takes what a sign-in gave, and tells the other tabs. */
export function signedIn(answer) {
  // Half a minute early, so that a request in flight does not meet its end.
  share(answer.access_token, Date.now() + (answer.expires_in - 30) * 1000);
  channel?.postMessage({ kind: 'signed-in', user: answer.user.id });
  return answer.user;
}

export const hasToken = () => token !== null && Date.now() < goodUntil;

/** A good token, refreshed when it must be; null when nobody is signed in. */
export async function current() {
  if (hasToken()) return token;
  await refresh();
  return token;
}

/** One refresh at a time in all tabs: who waited for the lock finds the token that another tab got. */
export function refresh() {
  running ??= locked(ask).finally(() => { running = null; });
  return running;
}

async function locked(act) {
  const before = token;
  // Over plain http there are no locks; the server forgives a token that comes twice within half a minute.
  if (!navigator.locks) return act();
  return navigator.locks.request('rapport.refresh', async () => {
    // When another tab was first, what it got comes by the channel, maybe a moment after the lock.
    const end = performance.now() + HEARD_WITHIN;
    while (token === before && performance.now() < end && (await renewedElsewhere())) await new Promise((next) => setTimeout(next, 25));
    return token !== before && hasToken() ? true : act();
  });
}

/** Milliseconds to wait for a token that another tab has; then one is asked for, and the server forgives that it is the second. */
const HEARD_WITHIN = 5_000;

/**
 * Whether a tab renewed after the token that this tab had. A tab that had none does not wait for others. Locks are kept in one
 * place for all tabs; what one tab writes to storage, another may read late.
 */
async function renewedElsewhere() {
  if (token === null) return false;
  const { held } = await navigator.locks.query();
  const marks = held.filter(({ name }) => name.startsWith(RENEWED)).map(({ name }) => name.slice(RENEWED.length));
  const newest = marks.sort((one, other) => parseInt(other, 10) - parseInt(one, 10))[0];
  return newest !== undefined && newest !== renewal;
}

/** Keeps a new token and hands it to the other tabs. Over when they can see that there is one. */
async function share(access, until) {
  const mark = `${until} ${Math.random()}`;
  keep({ access, until, mark });
  channel?.postMessage({ kind: 'token', access, until, mark });
  if (!navigator.locks) return;
  await new Promise((seen) => {
    navigator.locks.request(RENEWED + mark, () => new Promise((release) => { letGo = () => release(); seen(); })).catch(seen);
  });
}

/** `true`: there is a token. `false`: nobody is signed in. Throws when the server could not be asked. */
async function ask() {
  const response = await fetch(at('refresh'), { method: 'POST', headers: SESSION, credentials: 'same-origin' });
  if (response.status === 401) {
    forget();
    return false;
  }
  if (!response.ok) throw Object.assign(new Error('refresh'), { status: response.status });
  const answer = await response.json();
  await share(answer.access_token, Date.now() + (answer.expires_in - 30) * 1000);
  return true;
}

/** The token was refused before its time: a new one is needed. */
export function refused(used) {
  if (used === token) goodUntil = 0;
}

export async function signOut(everywhere = false) {
  const headers = { ...SESSION, 'Content-Type': 'application/json', Authorization: `Bearer ${await current()}` };
  try {
    await fetch(at('logout'), { method: 'POST', headers, body: JSON.stringify({ all: everywhere }), credentials: 'same-origin' });
  } finally {
    forget();
    channel?.postMessage({ kind: 'signed-out' });
  }
}

/** The account is gone or closed: nobody is asked any more. */
export function dropped() {
  forget();
  channel?.postMessage({ kind: 'signed-out' });
}

export const sessionHeader = SESSION;
