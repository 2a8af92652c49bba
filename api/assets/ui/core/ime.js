// Enter that sends must not be the Enter that ends a word in an input method (Bengali, Japanese, …).
let endedAt = -1_000;
addEventListener('compositionend', () => { endedAt = performance.now(); }, true);

/** Whether this key belongs to an input method. Safari sends the Enter after `compositionend`. */
export function composing(event) {
  return event.isComposing || event.keyCode === 229 || (event.key === 'Enter' && performance.now() - endedAt < 50);
}
