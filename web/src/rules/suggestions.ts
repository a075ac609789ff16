// Suggestions for the next word of a query: fields, label keys and values, metrics, models.

import { QUERY_FIELDS } from "~/api/generated/fields";
import { quoted } from "./language";

export type Suggestion = {
  /** The replacement for the word at the cursor. */
  text: string;
  /** Whether the word is then complete, so that a new one can begin. */
  whole: boolean;
  means: string;
};

export type Words = {
  labels: { key: string; count: number; values: { value: string; count: number }[] }[];
  metrics: { key: string; name: string; kind: string; category?: string }[];
  models: string[];
  /** The values of other fields, by the field's word in a query. */
  values: Readonly<Record<string, string[]>>;
};

/** The suggestions that are shown, and the number of further ones. */
export type Suggestions = { shown: Suggestion[]; leftOut: number };

export const SOURCES = ["LIVE", "OFFLINE", "AUTOMATION", "DATASET", "EVALUATION"];
export const STATES = ["complete", "failed", "cancelled", "interrupted", "open"];
const TIMES = ["1h", "24h", "7d", "30d"];
const SHOWN = 50;

/** Return the word in or before the cursor, with its start. */
export function wordAt(query: string, cursor: number): { word: string; start: number } {
  let start = cursor;
  let isQuoted = (query.slice(0, cursor).match(/(?<!\\)"/g)?.length ?? 0) % 2 === 1;
  while (start > 0) {
    const char = query[start - 1] as string;
    if (char === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /[\s()]/.test(char)) break;
    start -= 1;
  }
  const word = query.slice(start, cursor);
  return word.startsWith("-") ? { word: word.slice(1), start: start + 1 } : { word, start };
}

/** Return the suggestions for a word, in the order of the given values, which have the most used first. */
export function suggest(word: string, { labels, metrics, models, values: otherValues }: Words): Suggestions {
  const colon = word.indexOf(":");
  if (colon < 0) {
    const fields = QUERY_FIELDS.map(({ name, means }) => ({ text: name, whole: false, means }));
    const keys = labels.map(({ key, count }) => ({
      text: `label.${quoted(key)}:`,
      whole: false,
      means: `${count.toLocaleString()} interactions`,
    }));
    const values = metrics.map(({ key, kind }) => ({
      text: `${quoted(key)}${kind === "bool" ? "=true" : ">="}`,
      whole: kind === "bool",
      means: `${kind} feedback`,
    }));
    const outcomes = metrics
      .filter(({ category }) => category === "user")
      .map(({ key, kind }) => ({
        text: `session.${quoted(key)}${kind === "bool" ? "=true" : ">="}`,
        whole: kind === "bool",
        means: `${kind} outcome of the session`,
      }));
    // Outcomes are shown once their word is begun.
    return fitting([...values, ...fields, ...keys, ...(word.startsWith("s") ? outcomes : [])], word);
  }
  const head = word.slice(0, colon + 1);
  const comma = word.lastIndexOf(",");
  const before = comma > colon ? word.slice(0, comma + 1) : head;
  const begun = word.slice(before.length).replaceAll('"', "");
  const whole = (values: string[], means: (value: string) => string = () => ""): Suggestions => {
    const all = values.map((value) => ({ text: quoted(value), whole: true, means: means(value) }));
    const { shown, leftOut } = fitting(all, begun);
    return { shown: shown.map((one) => ({ ...one, text: before + one.text })), leftOut };
  };
  if (head.startsWith("label.")) {
    const key = head.slice(6, -1).replaceAll('"', "");
    const found = labels.find((one) => one.key === key)?.values ?? [];
    const counts = new Map(found.map(({ value, count }) => [value, count]));
    return whole([...counts.keys()], (value) => (counts.get(value) ?? 0).toLocaleString());
  }
  switch (head) {
    case "repeats:":
      return whole(["true"]);
    case "model:":
      return whole(models);
    case "has:":
    case "preference:":
      return whole(metrics.map(({ key }) => key));
    case "source:":
      return whole(SOURCES);
    case "state:":
      return whole(STATES);
    case "from:":
    case "to:":
      return whole(TIMES, (value) => `${value} ago`);
    default:
      return whole(otherValues[head.slice(0, -1)] ?? []);
  }
}

function fitting(all: Suggestion[], word: string): Suggestions {
  const wanted = word.toLowerCase().replaceAll('"', "");
  const plain = ({ text }: Suggestion) => text.toLowerCase().replaceAll('"', "");
  const begins = all.filter((one) => plain(one).startsWith(wanted));
  const has = wanted ? all.filter((one) => !begins.includes(one) && plain(one).includes(wanted)) : [];
  const found = [...begins, ...has].filter(({ text }) => text !== word);
  return { shown: found.slice(0, SHOWN), leftOut: Math.max(0, found.length - SHOWN) };
}
