// Estimates how many chips fit into a cell by text length, because measuring would cost a layout for every row.

const LETTER = 6.3;
const PADDING = 16;
const GAP = 4;
/** The width of "+3", in pixels. */
const FURTHER = 30;
/** Wider chips are cut, in pixels. */
const WIDEST = 220;

/** Return how many of these texts fit side by side, with room for "+3" if not all do; at least one. */
export function fitting(texts: readonly string[], pixels: number | undefined): number {
  if (pixels === undefined) return texts.length;
  let used = 0;
  let roomy = 0;
  for (const [index, text] of texts.entries()) {
    used += Math.min(text.length * LETTER + PADDING, WIDEST) + (index ? GAP : 0);
    if (used > pixels) return Math.max(1, roomy);
    if (used + GAP + FURTHER <= pixels) roomy = index + 1;
  }
  return texts.length;
}
