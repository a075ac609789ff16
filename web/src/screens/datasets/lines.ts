// Interactions as lines of a file: JSON lines as `afterword import` reads them, or a table for spreadsheets.

import type { Interaction } from "~/api/client";
import { jsonText } from "~/api/json";
import { completionWords, promptWords } from "~/rules/words";

export type Format = "jsonl" | "csv";

const COLUMNS = [
  "completion_id",
  "created_at",
  "model",
  "prompt",
  "completion",
  "session_id",
  "user",
  "source",
] as const;

/** Return an interaction as `afterword export` writes it. */
export function jsonLine(interaction: Interaction, withFeedback: boolean): string {
  const line = withFeedback ? interaction : { ...interaction, feedback: [], preferences: [] };
  return `${jsonText(line)}\n`;
}

/** Excel reads a table as UTF-8 only with this mark. */
const BYTE_ORDER_MARK = "\ufeff";

/** Return the header of a table: the common columns, then labels and feedback keys. */
export function csvHead(labels: readonly string[], metrics: readonly string[]): string {
  return BYTE_ORDER_MARK + row([...COLUMNS, ...labels.map((key) => `label.${key}`), ...metrics]);
}

/** Return an interaction as a row, with its messages in words. Several values under a key become their mean. */
export function csvRow(interaction: Interaction, labels: readonly string[], metrics: readonly string[]): string {
  const means = metrics.map((metric) => {
    const values = interaction.feedback.filter((said) => said.metric === metric).map(({ value }) => value);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : "";
  });
  const shown = { ...interaction, prompt: promptWords(interaction), completion: completionWords(interaction) };
  return row([...COLUMNS.map((name) => shown[name]), ...labels.map((key) => interaction.labels[key]), ...means]);
}

function row(cells: readonly unknown[]): string {
  return `${cells.map(cell).join(",")}\r\n`;
}

/** Return a cell; text that a spreadsheet would take for a formula is escaped. */
function cell(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const guarded = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

/**
 * Return the interactions of a page as lines with the server's own text, because parsing and writing in a browser would
 * change numbers. `text` is the JSON of a page, whose first member is `interactions`.
 */
export function ownLines(text: string): string[] {
  const lines: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '"') {
      at = endOfString(text, at);
    } else if (sign === "{" || sign === "[") {
      if (depth === 2) start = at;
      depth += 1;
    } else if (sign === "}" || sign === "]") {
      depth -= 1;
      if (depth === 2) lines.push(`${text.slice(start, at + 1)}\n`);
      else if (depth === 1) return lines;
    }
  }
  return lines;
}

function endOfString(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return text.length;
}
