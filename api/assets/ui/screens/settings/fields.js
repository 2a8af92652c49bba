// The fields of memory and chat settings; an empty one is the default.
import { html } from '../../core/dom.js';
import { language, t } from '../../core/i18n.js';
import { get } from '../../api/client.js';
import { Field } from '../../parts/field.js';
import { useLoad } from '../../parts/list.js';

/** What answers may be written in; the API names the same. */
const TONGUES = ['en', 'bn', 'hi', 'ur', 'ar', 'es', 'fr', 'de', 'it', 'pt', 'ru', 'zh', 'ja', 'ko'];
/** From which certainty memories are kept unasked, until another is written. */
const CERTAIN = 0.9;

const whole = (value) => (value === null || value === undefined ? '' : String(Math.round(value * 100)));
const share = (text) => (text === '' ? null : Number(text) / 100);
const figure = (text) => (text === '' ? null : Number(text));

export function MemoryFields({ form, set, errors }) {
  const asks = form.auto_confirm_threshold === null || form.auto_confirm_threshold === undefined;
  const check = (name) => html`<${Field} name=${name} type="checkbox" label=${t(`settings.${name}`)} help=${t(`settings.${name}.help`)} value=${form[name]} onInput=${set(name)} error=${errors[name]} />`;
  return html`${check('auto_memory_extraction')}
    <${Field} name="asks" label=${t('settings.ask')} help=${t('settings.ask.help')} value=${asks ? 'all' : 'some'}
      onInput=${(value) => set('auto_confirm_threshold')(value === 'all' ? null : CERTAIN)}>
      <option value="all">${t('settings.ask.all')}</option><option value="some">${t('settings.ask.some')}</option><//>
    ${!asks && html`<${Field} name="auto_confirm_threshold" type="number" min="0" max="100" label=${t('settings.ask.from')} value=${whole(form.auto_confirm_threshold)}
      onInput=${(text) => set('auto_confirm_threshold')(share(text) ?? 0)} error=${errors.auto_confirm_threshold} />`}
    <${Field} name="memory_importance_threshold" type="number" min="0" max="100" label=${t('settings.importance')} help=${t('settings.importance.help')}
      value=${whole(form.memory_importance_threshold)} onInput=${(text) => set('memory_importance_threshold')(share(text) ?? 0)} error=${errors.memory_importance_threshold} />
    ${check('enable_semantic_search')}${check('use_past_conversations')}${check('allow_private_in_context')}`;
}

export function ChatFields({ form, set, errors }) {
  const models = useLoad(() => get('models'), []);
  const offered = models.data?.models ?? [];
  const now = form.default_provider;
  const providers = [...new Set([...offered.map(({ provider }) => provider), ...(now && now !== 'auto' ? [now] : [])])];
  const own = offered.find(({ provider }) => provider === now)?.model;
  const names = new Intl.DisplayNames(language.value, { type: 'language' });
  const written = (name) => (text) => set(name)(text === '' ? null : text);
  return html`<${Field} name="default_provider" label=${t('settings.provider')} help=${t('settings.provider.help')} value=${now === 'auto' ? '' : now ?? ''} onInput=${written('default_provider')} error=${errors.default_provider}>
      <option value="">${t('settings.provider.auto')}</option>${providers.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}<//>
    <${Field} name="default_model" label=${t('settings.model')} help=${own ? t('settings.model.own', { name: own }) : t('settings.model.help')} value=${form.default_model ?? ''}
      onInput=${written('default_model')} error=${errors.default_model} autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="200" />
    <div class="pairs"><${Field} name="temperature" type="number" min="0" max="2" step="0.1" label=${t('settings.temperature')} help=${t('settings.temperature.help')}
        value=${form.temperature ?? ''} onInput=${(text) => set('temperature')(figure(text))} error=${errors.temperature} />
      <${Field} name="max_tokens" type="number" min="1" max="1000000" label=${t('settings.max_tokens')} help=${t('settings.max_tokens.help')}
        value=${form.max_tokens ?? ''} onInput=${(text) => set('max_tokens')(figure(text))} error=${errors.max_tokens} /></div>
    <${Field} name="answers" label=${t('settings.language')} value=${form.language} onInput=${set('language')} error=${errors.language}>
      <option value="auto">${t('settings.language.auto')}</option>${TONGUES.map((code) => html`<option key=${code} value=${code}>${names.of(code)}</option>`)}<//>
    <${Field} name="system_prompt" rows=${5} label=${t('settings.prompt')} help=${t('settings.prompt.help')} value=${form.system_prompt ?? ''}
      onInput=${written('system_prompt')} error=${errors.system_prompt} />`;
}
