// What is wrong with a field, in the reader's language where there are words for its code; else as the API says it.
import { known, language, t } from './i18n.js';

/**
 * One of a Problem's errors. Its words come with the first Problem that has errors (api/client.js).
 * @param {{field: string, message: string, code?: string, params?: Record<string, any>}} error
 */
export function told({ message, code, params }) {
  const key = `wrong.${code}`;
  if (language.value === 'en' || !known(key)) return message;
  const text = t(key, params);
  // A server of another version may leave out a value.
  return /\{\w+\}/.test(text) ? message : text;
}

/** What a Problem says as a whole. */
export function sentence(problem) {
  if (language.value === 'en' || !problem.errors?.length || !known('problem.field')) return problem.detail;
  return problem.errors.map((error) => t('problem.field', { field: error.field, message: told(error) })).join(' ');
}
