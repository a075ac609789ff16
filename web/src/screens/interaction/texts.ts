// Where long texts are cut: at the fold, and into pieces that a browser lays out one by one.

export const FOLDED_CHARACTERS = 4_000;
export const FOLDED_LINES = 60;
/** Longer texts are shown unformatted, because as Markdown they would take seconds. In characters. */
export const MOST_RENDERED = 100_000;
/** A text is folded only if it is longer than the fold by this factor. */
const SLACK = 1.2;

/** Return where to fold a text; null if it is shown in full. */
export function foldAt(text: string): number | null {
  let lines = 1;
  let fold = text.length;
  for (let at = text.indexOf("\n"); at >= 0 && lines <= FOLDED_LINES * SLACK; at = text.indexOf("\n", at + 1)) {
    if (lines === FOLDED_LINES) fold = at;
    lines += 1;
  }
  if (text.length > FOLDED_CHARACTERS * SLACK) return Math.min(fold, cutBefore(text, 0, FOLDED_CHARACTERS));
  return lines > FOLDED_LINES * SLACK ? fold : null;
}

/** Return a position to cut at, at most `size` after `start`: after a line, else a word, never inside a character. */
function cutBefore(text: string, start: number, size: number): number {
  const end = start + size;
  if (end >= text.length) return text.length;
  const piece = text.slice(start, end);
  const line = piece.lastIndexOf("\n") + 1;
  if (line > size / 2) return start + line;
  const word = piece.lastIndexOf(" ") + 1;
  if (word > size * 0.9) return start + word;
  const code = text.charCodeAt(end);
  return code >= 0xdc00 && code <= 0xdfff ? end - 1 : end;
}

/** Return a text in pieces. Each is shown as a block, so the line break at its end is left out. */
export function chunks(text: string, size = 8_000): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = cutBefore(text, at, size);
    const isLine = end < text.length && text[end - 1] === "\n";
    found.push(text.slice(at, isLine ? end - 1 : end));
    at = end;
  }
  return found.length ? found : [""];
}

/** Lines of a plain text that are numbered from `start` on. */
export type NumberedLines = { start: number; lines: string[] };

/**
 * Split a plain text into numbered lists and the text between them. Every character is kept, also line ends: the joined
 * parts are the text. A list has at least two lines.
 */
export function numberedLists(text: string): (string | NumberedLines)[] {
  const parts: (string | NumberedLines)[] = [];
  let end = 0;
  for (const run of text.matchAll(/(?:^\d{1,9}[.)] .*(?:\n|$)){2,}/gm)) {
    if (run.index > end) parts.push(text.slice(end, run.index));
    end = run.index + run[0].length;
    parts.push({ start: Number.parseInt(run[0], 10), lines: run[0].match(/.*\n|.+$/g) ?? [] });
  }
  if (end < text.length || parts.length === 0) parts.push(text.slice(end));
  return parts;
}

/** Return Markdown in pieces that can be parsed on their own: cut at blank lines before a new block, not in code. */
export function blocks(text: string, size = 5_000): string[] {
  if (text.length <= size) return [text];
  const found: string[] = [];
  let fence: string | null = null;
  let begun = 0;
  let wasBlank = false;
  for (let at = 0; at < text.length; ) {
    const next = text.indexOf("\n", at);
    const end = next < 0 ? text.length : next;
    const line = text.slice(at, Math.min(end, at + 200));
    // A list and its indented lines belong together.
    const isNew = wasBlank && /^[^\s>*+-]/.test(line) && !/^\d+[.)]/.test(line);
    // A text without blank lines is cut anywhere: a split paragraph is better than a frozen page.
    if (!fence && at - begun >= size * (isNew ? 1 : 3)) {
      found.push(text.slice(begun, at));
      begun = at;
    }
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && !fence) fence = mark;
    else if (mark && fence && mark[0] === fence[0] && mark.length >= fence.length) fence = null;
    wasBlank = line.trim() === "";
    at = end + 1;
  }
  found.push(text.slice(begun));
  return found;
}

/** Return how many bytes a text takes as UTF-8. */
export const sizeOf = (text: string): number => new TextEncoder().encode(text).length;
