// Interactions as lines of a file: JSON lines as `afterword import` reads them, or a table for spreadsheets.

import type { Interaction } from "~/api/client";
import { jsonText } from "~/api/json";

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

/** Return the head of a table: what every interaction has, then labels and feedback keys. */
export function csvHead(labels: readonly string[], metrics: readonly string[]): string {
  return row([...COLUMNS, ...labels.map((key) => `label.${key}`), ...metrics]);
}

/** Return an interaction as a row; of several values under a key their mean. */
export function csvRow(interaction: Interaction, labels: readonly string[], metrics: readonly string[]): string {
  const means = metrics.map((metric) => {
    const values = interaction.feedback.filter((said) => said.metric === metric).map(({ value }) => value);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : "";
  });
  return row([...COLUMNS.map((name) => interaction[name]), ...labels.map((key) => interaction.labels[key]), ...means]);
}

function row(cells: readonly unknown[]): string {
  return `${cells.map(cell).join(",")}\r\n`;
}

/** What a spreadsheet would take for a formula is made a text. */
function cell(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const guarded = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}
