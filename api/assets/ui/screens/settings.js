// Settings: what is remembered, how chats answer, how the pages look. Each says when it was saved.
import { html, useEffect, useState } from '../core/dom.js';
import { choose as speak, language, LANGUAGES, t } from '../core/i18n.js';
import { letters, useLetters } from '../core/keys.js';
import { boot, heading, say } from '../core/store.js';
import * as look from '../core/theme.js';
import { get, patch } from '../api/client.js';
import { Field, byField } from '../parts/field.js';
import { Loaded, useLoad } from '../parts/list.js';
import { ProblemLine } from '../parts/problem.js';
import { useForm } from './welcome/sign-in.js';
import { ChatFields, MemoryFields } from './settings/fields.js';

/** One group of settings with its button; `group` is its name in the API. */
function Group({ group, title, Fields, given }) {
  const [form, setForm] = useState(given);
  const [saved, setSaved] = useState(false);
  const { problem, busy, submit } = useForm(async () => {
    const now = await patch('settings', {}, { [group]: form });
    boot.value = { ...boot.value, settings: now };
    setForm(now[group]);
    setSaved(true);
    say(t('saved'));
  });
  const set = (field) => (value) => { setSaved(false); setForm((old) => ({ ...old, [field]: value })); };
  const all = byField(problem);
  const errors = Object.fromEntries(Object.entries(all).map(([field, message]) => [field.slice(group.length + 1), message]));
  const shown = Object.keys(errors).some((field) => field in form);
  return html`<section class="card"><h2>${title}</h2><form onSubmit=${submit} novalidate>
    <${Fields} form=${form} set=${set} errors=${errors} />
    <${ProblemLine} problem=${shown ? null : problem} />
    <div class="row"><button type="submit" class="act" disabled=${busy}>${t('save')}</button>${saved && html`<span class="good">${t('saved')}</span>`}</div></form></section>`;
}

/** How the pages look, in this browser: changed at once. */
function Look() {
  const [saved, setSaved] = useState(false);
  const done = async (change) => { await change(); setSaved(true); say(t('saved')); };
  return html`<section class="card"><h2>${t('look')}</h2><form onSubmit=${(event) => event.preventDefault()}>
    <p class="quiet">${t('look.here')}</p>
    <${Field} name="theme" label=${t('look.theme')} value=${look.theme.value} onInput=${(value) => done(() => look.choose(value))}>
      ${['system', 'light', 'dark'].map((one) => html`<option key=${one} value=${one}>${t(`look.${one}`)}</option>`)}<//>
    <${Field} name="language" label=${t('language')} value=${language.value} onInput=${(value) => done(() => speak(value))}>
      ${Object.entries(LANGUAGES).map(([code, name]) => html`<option key=${code} value=${code} lang=${code}>${name}</option>`)}<//>
    <${Field} name="letters" type="checkbox" label=${t('look.letters')} help=${t('look.letters.help')} value=${letters.value} onInput=${(on) => done(() => useLetters(on))} />
    ${saved && html`<p class="good">${t('saved')}</p>`}</form></section>`;
}

export function Screen() {
  const title = t('settings');
  useEffect(() => { heading.value = { title, actions: null }; }, [title]);
  const now = useLoad(() => get('settings'), []);
  return html`<div class="page narrow"><link rel="stylesheet" href=${new URL('../style/places.css', import.meta.url).href} />
    <${Loaded} of=${now}>${({ memory_settings: memory, chat_settings: chat }) => html`
      <${Group} group="memory_settings" title=${t('settings.memory')} Fields=${MemoryFields} given=${memory} />
      <${Group} group="chat_settings" title=${t('settings.chat')} Fields=${ChatFields} given=${chat} />`}<//>
    <${Look} /></div>`;
}
