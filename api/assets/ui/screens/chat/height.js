// How high a message will be, guessed from its text, so that the scroll bar tells about the truth before anything is laid out.
const LINE = 24;
const LETTERS = 84;
const AROUND = 48;
const IMAGES = 104;

export function heightOf({ content, images }) {
  let lines = 0;
  for (const line of content.split('\n')) lines += Math.max(0.5, Math.ceil(line.length / LETTERS));
  return Math.round(AROUND + lines * LINE + (images?.length ? IMAGES : 0));
}
