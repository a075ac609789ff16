// The time range of a query: its `from:` and `to:`, separate from all other conditions.

import { parts, quoted } from "./language";

/** The ends as written: `7d`, a day, or a time. Undefined is open. */
export type TimeRange = { from?: string | undefined; to?: string | undefined };

export const PRESETS: [span: string, name: string][] = [
  ["1h", "Last hour"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
];

const UNITS = { m: 60, h: 3_600, d: 86_400, w: 604_800 };
const END = /^(from|to):(?:"([^"]*)"|(\S+))$/;

/** Return the top-level time range of a query, and the rest of it. A query that cannot be parsed has none. */
export function splitTime(query: string): { range: TimeRange; rest: string } {
  const range: TimeRange = {};
  const rest: string[] = [];
  for (const part of partsOf(query)) {
    const found = END.exec(part);
    if (found) range[found[1] as "from" | "to"] = found[2] ?? found[3];
    else rest.push(part);
  }
  return { range, rest: rest.join(" ") };
}

/** Return the query with its time range replaced by this one. */
export function withTime(query: string, { from, to }: TimeRange): string {
  const { rest } = splitTime(query);
  const alternatives = partsOf(rest).length === 1 && /\bOR\b/.test(rest) && !/^-?\(.*\)$/.test(rest);
  const ends = [from && `from:${quoted(from)}`, to && `to:${quoted(to)}`].filter(Boolean);
  if (!ends.length) return rest;
  return [alternatives ? `(${rest})` : rest, ...ends].filter(Boolean).join(" ");
}

function partsOf(query: string): string[] {
  try {
    return query.trim() ? parts(query) : [];
  } catch {
    return [query.trim()];
  }
}

/** Return the length of a range such as `7d` in seconds; null for any other time. */
export function spanSeconds(text: string): number | null {
  const relative = /^(\d+)(m|h|d|w)$/.exec(text);
  return relative ? Number(relative[1]) * UNITS[relative[2] as keyof typeof UNITS] : null;
}

/** Return the time of an end in epoch milliseconds; null if it is not a time. */
export function momentOf(text: string, now: number): number | null {
  const span = spanSeconds(text);
  if (span !== null) return now - span * 1000;
  // A day begins at midnight in the zone in which times are shown.
  const time = new Date(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text).getTime();
  return Number.isNaN(time) ? null : time;
}

const shortTime = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

/** Return the display name of a range: "Last 7 days", "Nov 1, 12:00 – Nov 3, 08:00", "Any time". */
export function rangeName({ from, to }: TimeRange): string {
  const preset = PRESETS.find(([span]) => span === from);
  if (preset && !to) return preset[1];
  const shown = (text: string) => {
    if (spanSeconds(text) !== null) return `${text} ago`;
    const moment = momentOf(text, Date.now());
    return moment === null ? text : shortTime.format(moment);
  };
  if (from && to) return `${shown(from)} – ${shown(to)}`;
  if (from) return `Since ${shown(from)}`;
  return to ? `Until ${shown(to)}` : "Any time";
}
