// Answers that fail, in place of the server's.

/** How the service words what went wrong; `more` are headers. */
export const failure = (status, code, detail, { headers = {}, ...fields } = {}) => ({ status, contentType: 'application/problem+json', headers,
  body: JSON.stringify({ type: 'about:blank', title: 'Failed', status, code, detail, request_id: 'req_0123456789', ...fields }) });

export const INTERNAL = failure(500, 'internal_error', 'A fault of ours. The request id finds it in the logs.');
export const FULL = failure(503, 'overloaded', 'Too busy to do this in time.', { headers: { 'retry-after': '50' } });
export const SPENT = failure(429, 'budget_spent', 'The budget of this day is spent: 300 of 300 tokens.', { headers: { 'retry-after': '40000' } });
export const invalid = (...errors) => failure(422, 'validation_failed', 'A field is not right.', { errors: errors.map(([field, message]) => ({ field, message })) });

/** What opening the pages takes, whatever screen is asked for. */
const NEEDED = /^GET \/ui\/boot|^POST \/auth\/refresh|^GET \/events/;

/** Puts answers in the place of the server's: `set({fails, answer})` until the next one; `set()` none. `fails` is matched to “GET /path?query”. */
export async function failing(page) {
  let now = null;
  await page.route(/\/api\/v1\//, (route) => {
    const request = route.request();
    const asked = `${request.method()} ${request.url().replace(/^.*?\/api\/v1/, '')}`;
    if (!now || !(now.fails ? now.fails.test(asked) : !NEEDED.test(asked))) return route.continue();
    return typeof now.answer === 'function' ? now.answer(route) : route.fulfill(now.answer);
  });
  return (next = null) => { now = next; };
}
