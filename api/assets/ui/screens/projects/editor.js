// A prompt: its text on the left, what comes of it on the right as one types, its variables as a form, its versions below.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import * as drafts from '../../core/drafts.js';
import { user } from '../../core/store.js';
import { told } from '../../core/wrong.js';
import { patch, post, remove, Problem } from '../../api/client.js';
import { Confirm } from '../../parts/dialog.js';
import { Field, byField } from '../../parts/field.js';
import { ProblemLine } from '../../parts/problem.js';
import { toast } from '../../parts/toast.js';
import { Versions } from './versions.js';
import { asForm, asValues, namesIn } from './variables.js';

const WAIT = 400;

/** What the template comes to: {text} or {problem}; asked for when typing pauses. */
function usePreview(project, content, variables) {
  const [state, set] = useState({ text: null, problem: null });
  const last = useRef(0);
  const asked = JSON.stringify(variables);
  useEffect(() => {
    const mine = (last.current += 1);
    const timer = setTimeout(async () => {
      try {
        const { rendered } = await post('preview', { id: project }, { content, variables });
        if (mine === last.current) set({ text: rendered, problem: null });
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        if (mine === last.current) set((old) => ({ text: old.text, problem }));
      }
    }, state.text === null && !state.problem ? 0 : WAIT);
    return () => { last.current += 1; clearTimeout(timer); };
  }, [project, content, asked]);
  return state;
}

/** Keeps a text that was written and not saved, and brings it back. */
function useDraft(id, content, saved, setContent) {
  const known = useRef(false);
  const place = `prompt/${id}`;
  useEffect(() => {
    let gone = false;
    drafts.load(user.value.id, place).then((draft) => { if (gone) return; known.current = true; if (draft?.text) setContent(draft.text); });
    return () => { gone = true; };
  }, [place]);
  useEffect(() => { if (known.current) drafts.save(user.value.id, place, content === saved ? null : { text: content }); }, [content, saved]);
}

/** Where the template is wrong and why, with the line itself and a mark below the place. */
function Wrong({ problem, content, onGo }) {
  const error = problem.errors?.find((one) => one.field === 'content');
  if (!error) return html`<${ProblemLine} problem=${problem} />`;
  if (error.code !== 'wrong_template') return html`<p class="error">${told(error)}</p>`;
  const { line, column, problem: why } = error.params;
  return html`<div class="wrong"><p class="error">${t('prompt.wrong', { line, column })} <span dir="auto">${why}</span></p>
    <pre class="scroll" role="region" tabindex="0" aria-label=${t('prompt.line', { line })}>${`${content.split('\n')[line - 1] ?? ''}\n${' '.repeat(Math.max(0, column - 1))}^`}</pre>
    <button type="button" class="plain" onClick=${() => onGo(line, column)}>${t('prompt.go')}</button></div>`;
}

export function Editor({ project, prompt, onChange, onGone }) {
  const [name, setName] = useState(prompt.name);
  const [content, setContent] = useState(prompt.content);
  const [form, setForm] = useState(() => asForm(prompt.variables));
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const box = useRef(null);
  useDraft(prompt.id, content, prompt.content, setContent);
  const names = [...new Set([...namesIn(content), ...Object.keys(form).filter((one) => form[one] !== '')])];
  const variables = asValues(form, names, content);
  const rowsOf = (one) => Math.min(8, Math.max(Array.isArray(variables[one]) ? 3 : 1, (form[one] ?? '').split('\n').length));
  const preview = usePreview(project.id, content, variables);
  const places = { id: project.id, prompt_id: prompt.id };
  const dirty = name !== prompt.name || content !== prompt.content || JSON.stringify(variables) !== JSON.stringify(asValues(asForm(prompt.variables), names, prompt.content));
  const send = async (body, text) => {
    setBusy(true);
    setProblem(null);
    try { const changed = await patch('prompt', places, body); onChange(changed); toast(text); return changed; }
    catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); return null; } finally { setBusy(false); }
  };
  const save = (event) => {
    event.preventDefault();
    send({ name, variables, ...(content === prompt.content ? {} : { content }) }, t('saved'));
  };
  const use = async (version) => {
    const changed = await send({ version }, t('prompt.used', { n: version }));
    // What was written and not saved stays.
    if (changed && content === prompt.content) setContent(changed.content);
  };
  const goTo = (line, column) => {
    const field = box.current.querySelector('textarea');
    const at = content.split('\n').slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + [...(content.split('\n')[line - 1] ?? '')].slice(0, column - 1).join('').length;
    field.focus();
    field.setSelectionRange(at, at);
  };
  const errors = byField(problem);
  return html`<form class="prompt" onSubmit=${save}><div class="editor">
      <div class="side-left" ref=${box}><${Field} name="prompt-name" label=${t('prompt.name')} value=${name} onInput=${setName} error=${errors.name} required maxlength="100" />
        <${Field} name="prompt-content" label=${t('prompt.text')} help=${t('prompt.help')} rows=${14} value=${content} onInput=${setContent} spellcheck="true" maxlength="20000" aria-describedby="prompt-wrong field-prompt-content-help" />
        <div id="prompt-wrong" role="status">${preview.problem && html`<${Wrong} problem=${preview.problem} content=${content} onGo=${goTo} />`}</div>
        ${names.length > 0 && html`<fieldset class="choice"><legend>${t('prompt.variables')}</legend><p class="quiet">${t('prompt.variables.help')}</p>${names.map((one) => html`
          <${Field} key=${one} name=${`var-${one}`} label=${one} rows=${rowsOf(one)} value=${form[one] ?? ''} onInput=${(value) => setForm((old) => ({ ...old, [one]: value }))} />`)}
          ${errors.variables && html`<p class="error">${errors.variables}</p>`}</fieldset>`}</div>
      <div class="side-right"><h3>${t('prompt.preview')}</h3>
        <div class=${`preview${preview.problem ? ' old' : ''}`} dir="auto" tabindex="0" role="region" aria-label=${t('prompt.preview')}>${preview.text ?? ''}</div>
        <p class="quiet">${preview.problem ? t('prompt.preview.old') : t('prompt.length', { n: [...(preview.text ?? '')].length })}</p></div></div>
    <${ProblemLine} problem=${errors.name || errors.variables || (errors.content && preview.problem) ? null : problem} />
    <div class="row"><button type="submit" class="act" disabled=${busy || !dirty}>${t(content === prompt.content ? 'save' : 'prompt.save')}</button>
      ${prompt.is_active ? html`<span class="tag ok">${t('prompt.active')}</span>` : html`<button type="button" disabled=${busy} onClick=${() => send({ is_active: true }, t('prompt.activated'))}>${t('prompt.activate')}</button>`}
      <span class="quiet grow">${t('prompt.version', { n: number(prompt.version) })}${dirty ? ` · ${t('prompt.unsaved')}` : ''}</span>
      ${prompt.is_active && html`<button type="button" disabled=${busy} onClick=${() => send({ is_active: false }, t('prompt.stopped'))}>${t('prompt.stop')}</button>`}
      <button type="button" onClick=${() => setAsking(true)}>${t('delete')}</button></div>
    <${Versions} places=${places} prompt=${prompt} draft=${content} onUse=${use} />
    ${asking && html`<${Confirm} title=${t('prompt.delete', { name: prompt.name })} text=${t('prompt.delete.text')} verb=${t('delete')} onClose=${() => setAsking(false)}
      onYes=${async () => { try { await remove('prompt', places); onGone(prompt); } catch (error) { if (!(error instanceof Problem)) throw error; setProblem(error); } }} />`}</form>`;
}
