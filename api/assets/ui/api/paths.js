// Every path the pages use, once. A test finds each of them in the API's description.
export const PATHS = {
  boot: '/ui/boot',
  register: '/auth/register', login: '/auth/login', refresh: '/auth/refresh', logout: '/auth/logout',
  requestOtp: '/auth/request-otp', verifyOtp: '/auth/verify-otp', forgot: '/auth/forgot-password',
  reset: '/auth/reset-password', changePassword: '/auth/change-password',
  me: '/users/me', deactivate: '/users/me/deactivate', accountExport: '/users/me/export', accountExports: '/users/me/exports/{id}',
  keys: '/api-keys', key: '/api-keys/{id}', authorization: '/oauth/authorization',
  stream: '/chat/stream', regenerate: '/chat/regenerate', branch: '/chat/branch', models: '/models', tools: '/tools',
  sessions: '/chat/sessions', session: '/chat/sessions/{id}', messages: '/chat/sessions/{id}/messages',
  sessionExport: '/chat/sessions/{id}/export', sessionImport: '/chat/sessions/import',
  message: '/chat/messages/{id}', feedback: '/chat/messages/{id}/feedback', variants: '/chat/messages/{id}/variants',
  useVariant: '/chat/messages/{id}/variants/{variant}/use',
  jobs: '/jobs', job: '/jobs/{id}', jobEvents: '/jobs/{id}/events', cancel: '/jobs/{id}/cancel', retry: '/jobs/{id}/retry',
  events: '/events',
  files: '/files', file: '/files/{id}', fileContent: '/files/{id}/content', fileRetry: '/files/{id}/retry', uploads: '/files/uploads', upload: '/files/uploads/{id}',
  sessionFiles: '/chat/sessions/{id}/files', knowledge: '/knowledge/search',
  settings: '/settings',
  memories: '/memory', memory: '/memory/{id}', pending: '/memory/pending', verify: '/memory/{id}/verify', verifyMany: '/memory/verify',
  memoryHistory: '/memory/{id}/history', undo: '/memory/{id}/undo', related: '/memory/{id}/related', unmerge: '/memory/{id}/unmerge',
  memorySearch: '/memory/search', conflicts: '/memory/conflicts', resolve: '/memory/conflicts/{id}/resolve',
  consolidate: '/memory/consolidate', suggestions: '/memory/consolidate/suggestions', graph: '/memory/graph',
  privacy: '/memory/privacy', extract: '/memory/extract', runs: '/memory/extract/runs',
  dashboard: '/memory/analytics/dashboard', top: '/memory/analytics/top', memoryExport: '/memory/export', memoryImport: '/memory/import',
  activity: '/analytics/activity', byModel: '/analytics/models', usage: '/analytics/usage', quota: '/analytics/quota',
  projects: '/projects', project: '/projects/{id}', prompts: '/projects/{id}/prompts', prompt: '/projects/{id}/prompts/{prompt_id}',
  preview: '/projects/{id}/prompts/preview', versions: '/projects/{id}/prompts/{prompt_id}/versions', budget: '/projects/{id}/budget',
  providerKeys: '/projects/{id}/provider-keys', providerKey: '/projects/{id}/provider-keys/{provider}',
  webhooks: '/webhooks', webhook: '/webhooks/{id}', deliveries: '/webhooks/{id}/deliveries', delivery: '/webhooks/{id}/deliveries/{delivery_id}', hookTest: '/webhooks/{id}/test', redeliver: '/webhooks/{id}/deliveries/{delivery_id}/redeliver',
  queues: '/admin/queues', pause: '/admin/queues/{queue}/pause', resume: '/admin/queues/{queue}/resume',
  dead: '/admin/jobs/dead', retryDead: '/admin/jobs/dead/retry', discardDead: '/admin/jobs/dead/discard',
  providers: '/admin/providers', people: '/admin/users', activate: '/admin/users/{id}/activate',
  deactivateUser: '/admin/users/{id}/deactivate', userQuota: '/admin/users/{id}/quota', audit: '/admin/audit',
  health: '/health',
};

/** A path with its places filled in, relative to the page, so that it works below any prefix. */
export function at(name, places = {}, query = null) {
  const path = PATHS[name].replace(/\{(\w+)\}/g, (_, place) => encodeURIComponent(places[place]));
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = given.length ? `?${new URLSearchParams(given)}` : '';
  return `./api/v1${path}${text}`;
}
