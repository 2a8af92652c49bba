// A program asks to be let in: who it says it is, where the answer goes, what it may use; yes or no. A browser comes here from /authorize.
import { html, useEffect, useState } from '../core/dom.js';
import { t } from '../core/i18n.js';
import { route } from '../core/router.js';
import { heading, user } from '../core/store.js';
import { get, post, Problem } from '../api/client.js';
import { Loaded, useLoad } from '../parts/list.js';
import { ProblemLine } from '../parts/problem.js';

/** What a request for authorization may say; programs send more, which is not for us. */
const FIELDS = ['client_id', 'redirect_uri', 'response_type', 'scope', 'state', 'code_challenge', 'code_challenge_method', 'resource'];
const asked = () => {
  const { query } = route.value;
  return Object.fromEntries(FIELDS.filter((name) => query.get(name) !== null).map((name) => [name, query.get(name)]));
};
/** Away, so that going back does not ask once more. The API names no address that runs a script. */
const away = (to) => location.replace(to);

function Question({ request, onAnswered }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const name = user.value.name || user.value.username || user.value.email;
  const allow = async () => {
    setProblem(null);
    setBusy(true);
    try {
      const { go_to } = await post('authorization', {}, asked());
      onAnswered();
      away(go_to);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
      setBusy(false);
    }
  };
  const refuse = () => { onAnswered(); away(request.refuse_at); };
  return html`<section class="card"><h2 dir="auto">${request.client_name}</h2>
    ${request.wrong ? html`<p role="alert">${t('connect.wrong')} ${request.wrong}</p>` : html`<p>${t('connect.text', { user: name })}</p>
      <ul>${request.scopes.map((scope) => html`<li key=${scope}>${t(`connect.${scope}`)}</li>`)}</ul>
      <p>${t('connect.to')} <code dir="ltr">${request.answers_to}</code></p><p class="quiet">${t('connect.warning')}</p>`}
    <${ProblemLine} problem=${problem} />
    <div class="row"><button type="button" onClick=${refuse}>${t(request.wrong ? 'connect.back' : 'connect.refuse')}</button>
      ${!request.wrong && html`<button type="button" class="act" disabled=${busy} onClick=${allow}>${t('connect.allow')}</button>`}</div></section>`;
}

export function Screen() {
  const request = useLoad(() => get('authorization', {}, asked()), [route.value.query.toString()]);
  const [answered, setAnswered] = useState(false);
  const title = t('connect');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  return html`<div class="page narrow"><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    ${answered ? html`<p role="status">${t('connect.answered')}</p>` : html`<${Loaded} of=${request}>${(data) => html`<${Question} request=${data} onAnswered=${() => setAnswered(true)} />`}<//>`}</div>`;
}
