// Finds a text in the shown page, also if it spans several elements.

/** The most matches; nobody steps through more. */
const MOST_FOUND = 2_000;

/** Return the ranges of an element's text that match a text, ignoring case. */
export function rangesOf(root: Element, sought: string): Range[] {
  const wanted = sought.toLowerCase();
  if (!wanted) return [];
  const ranges: Range[] = [];
  // A match must not span two blocks.
  for (const block of blocksOf(root)) {
    const text = block.map((node) => node.data).join("").toLowerCase();
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      const range = rangeIn(block, at, at + wanted.length);
      if (range) ranges.push(range);
      if (ranges.length >= MOST_FOUND) return ranges;
    }
  }
  return ranges;
}

/** Return the text nodes of an element, grouped by block. */
function blocksOf(root: Element): Text[][] {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const blocks: Text[][] = [];
  let around: Element | null = null;
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    if (node.parentElement?.closest("button, summary, header, .katex")) continue;
    const block: Element | null = node.parentElement?.closest("p, li, h4, h5, h6, td, th, pre, div, section") ?? null;
    if (block !== around) blocks.push([]);
    around = block;
    blocks.at(-1)?.push(node);
  }
  return blocks;
}

function rangeIn(nodes: readonly Text[], start: number, end: number): Range | null {
  const range = document.createRange();
  let before = 0;
  let hasStart = false;
  for (const node of nodes) {
    const after = before + node.length;
    if (!hasStart && start < after) {
      range.setStart(node, start - before);
      hasStart = true;
    }
    if (hasStart && end <= after) {
      range.setEnd(node, end - before);
      return range;
    }
    before = after;
  }
  return null;
}
