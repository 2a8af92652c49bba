// A labelled field with its help and its error beside it.
import { html } from '../core/dom.js';
import { told } from '../core/wrong.js';

export function Field({ label, help, error, name, type = 'text', value, onInput, rows, children, ...rest }) {
  const id = `field-${name}`;
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  const shared = { id, name, dir: 'auto', 'aria-describedby': described, 'aria-invalid': error ? 'true' : undefined, ...rest };
  const input = (event) => onInput?.(type === 'checkbox' ? event.target.checked : event.target.value);
  const box = children ? html`<select ...${shared} value=${value} onChange=${input}>${children}</select>`
    : rows ? html`<textarea ...${shared} rows=${rows} value=${value} onInput=${input}></textarea>`
      : type === 'checkbox' ? html`<input ...${shared} type="checkbox" checked=${value} onChange=${input} />`
        : html`<input ...${shared} type=${type} value=${value} onInput=${input} />`;
  return html`<div class=${`field is-${type}`}>
    ${type === 'checkbox' ? html`${box}<label for=${id}>${label}</label>` : html`<label for=${id}>${label}</label>${box}`}
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
    ${error && html`<p class="error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/**
 * The errors of a Problem by field.
 * @returns {Record<string, string>}
 */
export const byField = (problem) => Object.fromEntries((problem?.errors ?? []).map((error) => [error.field, told(error)]));
