// Times as people read them.
import { language } from './i18n.js';

const at = (text, options) => new Intl.DateTimeFormat(language.value, options).format(new Date(text));

export const day = (text) => {
  const sameYear = new Date(text).getFullYear() === new Date().getFullYear();
  return at(text, { day: 'numeric', month: 'long', ...(sameYear ? {} : { year: 'numeric' }) });
};
export const moment = (text) => at(text, { day: 'numeric', month: 'long', hour: '2-digit', minute: '2-digit' });
export const full = (text) => at(text, { dateStyle: 'full', timeStyle: 'short' });

/** `today`, `yesterday`, `week`, `month` or `earlier`. */
export function age(text) {
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.ceil((midnight.getTime() - new Date(text).getTime()) / 86_400_000);
  if (days <= 0) return 'today';
  if (days <= 1) return 'yesterday';
  if (days <= 7) return 'week';
  return days <= 31 ? 'month' : 'earlier';
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60]];

export function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text).getTime()) / 1000);
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: 'auto' });
  for (const [unit, size] of UNITS) {
    if (seconds >= size) return format.format(-Math.floor(seconds / size), unit);
  }
  return format.format(-Math.floor(seconds), 'second');
}
