// What was written and not yet accepted, by account and chat, in IndexedDB; in memory where there is none.
const memory = new Map();
let opened = null;

function open() {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open('rapport', 1);
      request.onupgradeneeded = () => request.result.createObjectStore('drafts');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
      request.onblocked = () => resolve(null);
    } catch { resolve(null); }
  });
  return opened;
}

async function run(mode, act) {
  const base = await open();
  if (!base) return undefined;
  return new Promise((resolve) => {
    const transaction = base.transaction('drafts', mode);
    const request = act(transaction.objectStore('drafts'));
    // Not first when the page has heard of it, and then perhaps is gone.
    transaction.commit();
    // Written means written: a page may be closed at any moment.
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = () => resolve(undefined);
    transaction.onabort = () => resolve(undefined);
  });
}

const name = (user, chat) => `${user}/${chat}`;

/** A draft: {text, key?, body?, sent?}; `key` and `body` once it was sent and no answer has come. */
export async function load(user, chat) {
  return memory.get(name(user, chat)) ?? (await run('readonly', (store) => store.get(name(user, chat)))) ?? null;
}

export async function save(user, chat, draft) {
  const id = name(user, chat);
  if (draft && (draft.text || draft.key)) {
    memory.set(id, draft);
    await run('readwrite', (store) => store.put(draft, id));
  } else {
    memory.delete(id);
    await run('readwrite', (store) => store.delete(id));
  }
}

/** Signing out from a shared computer. */
export async function forget() {
  memory.clear();
  await run('readwrite', (store) => store.clear());
}
