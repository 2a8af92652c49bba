// Tool calls: one line each, open for what was asked and what came back.
import { html } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import { download } from '../../core/copy.js';

const LONGEST = 20_000;

const asText = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));

function Part({ label, value, name }) {
  if (value === undefined || value === null) return null;
  const text = asText(value);
  const rest = text.length > LONGEST;
  return html`<p><strong>${label}</strong></p><pre tabindex="0">${rest ? `${text.slice(0, LONGEST)}…` : text}</pre>
    ${rest && html`<button type="button" class="plain" onClick=${() => download(`${name}.txt`, new Blob([text]))}>${t('tool.rest')}</button>`}`;
}

export function Tools({ tools }) {
  if (!tools?.length) return null;
  return html`<div class="tools">${tools.map((tool, at) => {
    const state = tool.ok === undefined ? 'running' : tool.ok ? 'good' : 'bad';
    const first = Object.values(tool.arguments ?? {}).find((value) => typeof value === 'string') ?? '';
    return html`<details key=${tool.id ?? at} class=${`tool ${state}`}>
      <summary><span class="dot" aria-hidden="true"></span><code>${tool.name}</code>${first ? ` · ${first.slice(0, 60)}` : ''}
        · ${state === 'running' ? t('tool.running') : state === 'bad' ? t('tool.failed') : t('millis', { ms: number(tool.ms ?? 0) })}</summary>
      <${Part} label=${t('tool.asked')} value=${tool.arguments} name=${tool.name} />
      <${Part} label=${t('tool.said')} value=${tool.result} name=${tool.name} />
    </details>`;
  })}</div>`;
}
