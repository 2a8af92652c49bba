// Sends files: small ones at once, large ones in pieces, which go on where a broken line left them.
import { t } from '../../core/i18n.js';
import { call, get, insistently, post, Problem, remove } from '../../api/client.js';

/** A part of the server's: a piece that ends with one costs it nothing to go on from. */
const PIECE = 8 * 1_048_576;
const RAW = 'application/octet-stream';
const PIECES = 'application/offset+octet-stream';

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** A folder, or a file that has changed since it was chosen, looks like a broken line to whoever sends it. */
async function readable(file, offset) {
  await file.slice(offset, offset + 1).arrayBuffer().catch(() => { throw new Problem({ status: 0, code: 'unreadable', detail: t('files.unreadable') }); });
}

/** How far the server has it. */
const state = (id) => insistently(() => get('upload', { id }));

async function inPieces(file, onSent) {
  const headers = { 'Upload-Length': String(file.size), 'Upload-Metadata': `filename ${base64(file.name)}` };
  let upload = await insistently(() => call('POST', 'uploads', { headers }));
  try {
    upload = await pieces(file, upload, onSent);
  } catch (error) {
    // It takes room until it is given up.
    await remove('upload', { id: upload.id }).catch(() => {});
    throw error;
  }
  return insistently(() => get('file', { id: upload.file_id }));
}

async function pieces(file, begun, onSent) {
  let upload = begun;
  while (!upload.file_id) {
    const { id, offset } = upload;
    await readable(file, offset);
    const piece = file.slice(offset, offset + PIECE, PIECES);
    try {
      await insistently(() => call('PATCH', 'upload', { places: { id }, body: piece, headers: { 'Upload-Offset': String(offset) } }));
    } catch (error) {
      // A piece that came though its answer did not: the server says where to go on.
      if (!(error instanceof Problem) || error.status !== 409) throw error;
    }
    upload = await state(id);
    onSent(upload.offset / file.size);
  }
  return upload;
}

/** The file as the server has it. `onSent` is told the share that has come. */
export async function send(file, onSent = (/** @type {number} */ _) => {}) {
  await readable(file, 0);
  if (file.size > PIECE) return inPieces(file, onSent);
  return insistently(() => post('files', {}, new Blob([file], { type: RAW }), { query: { name: file.name } }));
}

/** Sends several, one after the other. Gives the files, and what was wrong with the others: [{name, problem}]. */
export async function sendAll(files, onState) {
  const done = [];
  const wrong = [];
  try {
    for (const file of files) {
      onState({ name: file.name, share: 0 });
      try {
        done.push(await send(file, (share) => onState({ name: file.name, share })));
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        wrong.push({ name: file.name, problem });
      }
    }
  } finally { onState(null); }
  return { done, wrong };
}
