// Who somebody is, by the id that the API gives.
import { signal } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { user } from '../../core/store.js';
import { get } from '../../api/client.js';

const people = signal(new Map());
let asked = null;

export const nameOf = (person) => person.name || person.username || person.email || person.id;

/** Fetches the newest accounts once; others are shown by their id. */
export function loadNames() {
  asked ??= get('people', {}, { limit: 200 }).then(({ items }) => {
    people.value = new Map(items.map((person) => [person.id, nameOf(person)]));
  }).catch(() => { asked = null; });
}

/** A name for an actor or an owner. */
export function who(id) {
  if (!id) return t('ops.nobody');
  if (id === 'command line') return t('ops.command');
  if (id === user.value?.id) return nameOf(user.value);
  return people.value.get(id) ?? id;
}
