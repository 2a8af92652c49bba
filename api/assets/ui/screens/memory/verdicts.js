// Verdicts go out at once, in order, each once; offline they wait and say so.
import { signal } from '../../core/dom.js';
import { insistently, newKey, post } from '../../api/client.js';
import { pending } from '../../core/store.js';

/** How many verdicts the server has not taken yet. */
export const waiting = signal(0);
let queue = Promise.resolve();

function inOrder(act) {
  waiting.value += 1;
  const done = queue.then(act).finally(() => { waiting.value -= 1; });
  queue = done.catch(() => {});
  return done;
}

/** `action` is confirm, reject or correct. */
export function verdict(id, action, more = {}) {
  pending.value = Math.max(0, pending.value - 1);
  const key = newKey();
  return inOrder(() => insistently(() => post('verify', { id }, { action, ...more }, { key })));
}

export function verdicts(ids, action) {
  pending.value = Math.max(0, pending.value - ids.length);
  const key = newKey();
  return inOrder(() => insistently(() => post('verifyMany', {}, { verifications: ids.map((id) => ({ memory_id: id, action })) }, { key })));
}

/** Takes back the last change of a memory. */
export function undo(id) {
  pending.value += 1;
  const key = newKey();
  return inOrder(() => insistently(() => post('undo', { id }, {}, { key })));
}
