// Finds LaTeX formulas in a text, and reads them without their delimiters.

/** Between dollars, or in brackets after backslashes. Text between single dollars may be an amount of money. */
const FORMULA = /\$\$[\s\S]+?\$\$|\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\]|\$(?!\s)[^$\n]+?(?<![\s\\])\$(?![\w$])/g;
/** A display formula has at most this many lines. */
const MOST_FORMULA_LINES = 60;
const MOST_FORMULA_CHARACTERS = 10_000;

export type Formula = { tex: string; isDisplay: boolean };
export type Segment = { kind: "markdown" | "formula"; text: string };

/** Yield the positions of the formulas in a text. */
export function* formulasIn(text: string): Generator<{ start: number; end: number }> {
  for (const match of text.matchAll(FORMULA)) {
    if (formulaOf(match[0])) yield { start: match.index, end: match.index + match[0].length };
  }
}

/** Parse a source with its delimiters; null if it is not a formula, for example an amount of money. */
export function formulaOf(source: string): Formula | null {
  if (source.length > MOST_FORMULA_CHARACTERS) return null;
  const isLong = /^(\$\$|\\)/.test(source);
  const tex = source.slice(isLong ? 2 : 1, isLong ? -2 : -1).trim();
  if (!tex || (!isLong && !isMath(tex))) return null;
  return { tex, isDisplay: /^(\$\$|\\\[)/.test(source) };
}

/** Tell whether a text between single dollars is maths: a single letter, or maths signs without consecutive words. */
function isMath(tex: string): boolean {
  if (/^[A-Za-z]'*$/.test(tex)) return true;
  if (!/[\\^_{}=<>+*/|-]/.test(tex)) return false;
  const words = tex.replace(/\\(?:text|mathrm|mathbf|operatorname)\s*\{[^{}]*\}/g, "").replace(/\\[A-Za-z]+/g, "");
  return !/[A-Za-z]{3,}[\s,]+[A-Za-z]{2,}/.test(words);
}

/** Split Markdown at display formulas on their own lines, because Markdown would read their lines as lists, headings
 * and paragraphs. Code is left unchanged. */
export function segments(text: string): Segment[] {
  if (!/\$\$|\\\[/.test(text)) return [{ kind: "markdown", text }];
  const lines = text.split("\n");
  const found: Segment[] = [];
  let fence: string | null = null;
  let begun = 0;
  const markdown = (from: number, to: number) => {
    const part = lines.slice(from, to).join("\n");
    if (part.trim()) found.push({ kind: "markdown", text: part });
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as string;
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && !fence) fence = mark;
    else if (mark && fence && mark[0] === fence[0] && mark.length >= fence.length) fence = null;
    const end = fence ? null : lastLineOfFormula(lines, at);
    if (end === null) continue;
    markdown(begun, at);
    found.push({ kind: "formula", text: lines.slice(at, end + 1).join("\n").trim() });
    begun = end + 1;
    at = end;
  }
  markdown(begun, lines.length);
  return found;
}

/** Return the last line of the display formula that begins on line `first`; null if none begins there. */
function lastLineOfFormula(lines: readonly string[], first: number): number | null {
  const open = /^ {0,3}(\$\$|\\\[)/.exec(lines[first] as string)?.[1];
  if (!open) return null;
  const close = open === "$$" ? "$$" : "\\]";
  for (let at = first; at < Math.min(lines.length, first + MOST_FORMULA_LINES); at += 1) {
    const line = (lines[at] as string).trim();
    const place = line.indexOf(close, at === first ? open.length : 0);
    if (place < 0) continue;
    return place === line.length - close.length ? at : null;
  }
  return null;
}
