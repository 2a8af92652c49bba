// A part that throws says so, and the rest goes on.
import { Component } from '../vendor/preact.js';
import { html } from '../core/dom.js';
import { t } from '../core/i18n.js';

export class Boundary extends Component {
  constructor() { super(); this.state = { error: null }; }
  componentDidCatch(error) { console.error(error); this.setState({ error }); }
  render() {
    if (!this.state.error) return this.props.children;
    return html`<div class="problem" role="alert"><p>${t('part.failed')}</p>
      <button type="button" onClick=${() => this.setState({ error: null })}>${t('reload.part')}</button></div>`;
  }
}
