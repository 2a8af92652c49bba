// The events a webhook may hear of.
import { html } from '../../core/dom.js';

export const EVENTS = ['job.succeeded', 'job.failed', 'memory.created'];

export const Events = ({ of }) => html`${of.map((one) => html`<span class="tag" key=${one}><code>${one}</code></span> `)}`;
