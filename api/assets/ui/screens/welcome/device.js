// This browser was signed in before: with this the owner gets in while strangers guess at the account. It opens nothing.
const KEY = 'rapport.device';

export function device(set) {
  try {
    if (set) localStorage.setItem(KEY, set);
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
