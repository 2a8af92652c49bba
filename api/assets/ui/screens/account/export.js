// Everything of the account as one archive: a job writes it, then it is downloaded.
import { html, useEffect, useRef, useState } from '../../core/dom.js';
import { number, t } from '../../core/i18n.js';
import { download } from '../../core/copy.js';
import { say } from '../../core/store.js';
import { get, insistently, Problem, problemOf, raw } from '../../api/client.js';
import { ProblemLine } from '../../parts/problem.js';

const FINAL = ['succeeded', 'failed', 'cancelled'];
const size = (bytes) => (bytes < 1_000_000 ? number(Math.max(1, Math.round(bytes / 1_000)), { style: 'unit', unit: 'kilobyte' })
  : number(bytes / 1_000_000, { style: 'unit', unit: 'megabyte', maximumFractionDigits: 1 }));

export function Export() {
  const [job, setJob] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const gone = useRef(false);
  useEffect(() => () => { gone.current = true; }, []);
  const attempt = async (act) => {
    setProblem(null);
    setBusy(true);
    try { await act(); } catch (error) { if (!(error instanceof Problem)) throw error; if (!gone.current) setProblem(error); } finally { if (!gone.current) setBusy(false); }
  };
  const write = () => attempt(async () => {
    let now = await get('accountExport');
    setJob(now);
    while (!FINAL.includes(now.status) && !gone.current) {
      now = await insistently(() => get('job', { id: now.id }, { wait: 30 }), () => !gone.current);
      if (!gone.current) setJob(now);
    }
    if (gone.current) return;
    if (now.status === 'succeeded') say(t('export.ready'));
    else throw new Problem({ status: 500, code: 'unknown', detail: t('problem.unknown'), ...now.error });
  });
  const fetchIt = () => attempt(async () => {
    const response = await raw('GET', 'accountExports', { places: { id: job.id } });
    if (!response.ok) throw await problemOf(response);
    download(`rapport-${new Date().toISOString().slice(0, 10)}.zip`, await response.blob());
  });
  const ready = job?.status === 'succeeded';
  return html`<section class="card"><h2>${t('export.title')}</h2><p>${t('export.text')}</p>
    <${ProblemLine} problem=${problem} />
    <div class="row">${ready ? html`<button type="button" class="act" disabled=${busy} onClick=${fetchIt}>${t('export.download')}</button>
        <span class="good">${t('export.ready')}</span><span class="quiet">${size(job.result?.bytes ?? 0)} · ${t('export.day')}</span>`
      : html`<button type="button" disabled=${busy} onClick=${write}>${t('export.write')}</button>${busy && html`<span class="quiet" role="status">${t('export.writing')}</span>`}`}</div></section>`;
}
