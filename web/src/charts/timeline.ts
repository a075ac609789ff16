// Prepares the volume over time for the chart in which a range can be dragged.

import type { Schemas } from "~/api/client";

type Interval = Schemas["NewTrend"]["interval"];

export type Bar = { start: number; end: number; count: number; failed: number; mean: number | null };

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Return the finest interval whose bars can be told apart. */
export function intervalFor(milliseconds: number): NonNullable<Interval> {
  if (milliseconds <= 3 * HOUR) return "minute";
  if (milliseconds <= 5 * DAY) return "hour";
  return milliseconds <= 400 * DAY ? "day" : "week";
}

/** Return a bar for each interval with any interactions. */
export function barsOf(volume: Schemas["Trend"], metric?: Schemas["Trend"]): Bar[] {
  const means = new Map(metric?.series[0]?.points.map(({ start, mean }) => [start, mean]));
  return (volume.series[0]?.points ?? []).map(({ start, end, count, failed = 0 }) => ({
    start: Date.parse(start),
    end: Date.parse(end),
    count,
    failed,
    mean: means.get(start) ?? null,
  }));
}

/** Return the dragged range, from the start of its first bar to the end of its last bar. */
export function draggedRange(bars: readonly Bar[], from: number, to: number): { from: number; to: number } {
  const [first, last] = from <= to ? [from, to] : [to, from];
  const touched = bars.filter(({ start, end }) => end > first && start <= last);
  return { from: Math.min(first, touched[0]?.start ?? first), to: Math.max(last, touched.at(-1)?.end ?? last) };
}
