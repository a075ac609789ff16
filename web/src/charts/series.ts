// Series over time, made ready to be drawn on one axis.

import type { Schemas } from "~/api/client";

export type Series = { key: string | null; name: string; points: { start: number; end: number; value: number }[] };

/** So many lines can be told apart; the others are left out of the drawing, not of the table. */
export const MOST_DRAWN = 8;

const seconds = (iso: string) => Date.parse(iso) / 1000;

/** Return the means, or the counts, of a trend. */
export function seriesOf(trend: Schemas["Trend"], of: "mean" | "count"): Series[] {
  return trend.series.slice(0, MOST_DRAWN).map(({ key, points }) => ({
    key,
    name: key ?? (trend.series.length > 1 ? "none" : of === "mean" ? "mean" : "count"),
    points: points.flatMap(({ start, end, count, mean }) => {
      const value = of === "count" ? count : mean;
      return value === null || value === undefined ? [] : [{ start: seconds(start), end: seconds(end), value }];
    }),
  }));
}

/** Return the times of all series, and each one's values at them; null where it has none. */
export function aligned(series: readonly Series[]): [number[], ...(number | null)[][]] {
  const times = [...new Set(series.flatMap(({ points }) => points.map(({ start }) => start)))].sort((a, b) => a - b);
  const columns = series.map(({ points }) => {
    const values = new Map(points.map(({ start, value }) => [start, value]));
    return times.map((time) => values.get(time) ?? null);
  });
  return [times, ...columns];
}
