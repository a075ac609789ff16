// How times and numbers are shown.

import { Hint } from "./index";

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const sameYear = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const older = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const counts = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });

/** Show a time in the viewer's zone, less exactly the older it is. */
export function shownTime(iso: string): string {
  const time = new Date(iso);
  const now = new Date();
  if (time.toDateString() === now.toDateString()) return sameDay.format(time);
  return (time.getFullYear() === now.getFullYear() ? sameYear : older).format(time);
}

export function fullTime(iso: string): string {
  return full.format(new Date(iso));
}

export function Time({ iso }: { iso: string }) {
  return (
    <Hint text={fullTime(iso)}>
      <time dateTime={iso}>{shownTime(iso)}</time>
    </Hint>
  );
}

/** A whole number with separators: 12,345. */
export const count = (value: number): string => counts.format(value);

/** A number with its noun: 1 line, 12,345 lines. */
export const counted = (value: number, name: string): string => `${count(value)} ${name}${value === 1 ? "" : "s"}`;

/** A short form of a whole number: 12.3K. */
export const inShort = (value: number): string => short.format(value);

/** A measured number with four significant digits; a very small one with three, in scientific notation. */
export function measured(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(2).replace(/\.?0*e/, "e");
  return plain.format(value);
}

export const percent = (share: number): string => `${plain.format(Math.round(share * 1000) / 10)} %`;

/** A duration given in milliseconds: 840 ms, 2.31 s, 3 min. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;
  return `${Math.round(milliseconds / 60_000)} min`;
}

export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  return size < 1_000_000 ? `${plain.format(size / 1000)} kB` : `${plain.format(size / 1_000_000)} MB`;
}

/** Return the text of an interaction for screen readers: the model, the time and the prompt. */
export function spokenName({ model, created_at, prompt }: { model?: string | null; created_at: string; prompt: string }): string {
  const asked = prompt.replace(/\s+/g, " ").trim();
  return `${model ?? "No model"}, ${shownTime(created_at)}: ${asked.slice(0, 120) || "no text"}`;
}
