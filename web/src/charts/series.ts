// Prepares time series for drawing on one axis.

import type { Schemas } from "~/api/client";
import { meanInterval, shareInterval } from "./confidence";

/** `interval` is the 95 % interval of a mean; null for too few values. */
export type SeriesPoint = { start: number; end: number; value: number; interval: [low: number, high: number] | null };
export type Series = { key: string | null; name: string; points: SeriesPoint[] };

/** The most lines that can be told apart. The viewer chooses which ones are drawn. */
export const MOST_DRAWN = 8;

const seconds = (iso: string) => Date.parse(iso) / 1000;

/** Return the keys of the drawn series: the chosen ones, else the first ones, which have the most values. */
export function drawnKeys(keys: readonly (string | null)[], chosen: string | undefined): (string | null)[] {
  const words = chosen?.split(",") ?? [];
  const found = keys.filter((key) => words.includes(wordOf(key)));
  return found.length ? found : keys.slice(0, MOST_DRAWN);
}

/** Return the choice with one series added or removed, in the form of the address. */
export function toggledSeries(drawn: readonly (string | null)[], key: string | null): string {
  const next = drawn.includes(key) ? drawn.filter((one) => one !== key) : [...drawn, key].slice(-MOST_DRAWN);
  return next.map(wordOf).join(",");
}

const wordOf = (key: string | null) => (key === null ? "-" : `=${encodeURIComponent(key)}`);

/** Return these series of a trend as means, means as shares, or counts. */
export function seriesOf(
  trend: Schemas["Trend"],
  of: "mean" | "share" | "count",
  drawn: readonly (string | null)[] = trend.series.map(({ key }) => key),
): Series[] {
  const chosen = trend.series.filter(({ key }) => drawn.includes(key));
  return chosen.map(({ key, points }) => ({
    key,
    name: key ?? (trend.series.length > 1 ? "none" : of === "count" ? "count" : "mean"),
    points: points.flatMap(({ start, end, count, mean = null, stddev = null }) => {
      const span = { start: seconds(start), end: seconds(end) };
      if (of === "count") return [{ ...span, value: count, interval: null }];
      if (mean === null) return [];
      const interval = of === "share" ? shareInterval({ count, mean }) : meanInterval({ count, mean, stddev });
      return [{ ...span, value: mean, interval }];
    }),
  }));
}

/** Return the times of all series, and the values of each series at these times; null for no value. */
export function aligned(series: readonly Series[]): [number[], ...(number | null)[][]] {
  const times = [...new Set(series.flatMap(({ points }) => points.map(({ start }) => start)))].sort((a, b) => a - b);
  const columns = series.map(({ points }) => {
    const values = new Map(points.map(({ start, value }) => [start, value]));
    return times.map((time) => values.get(time) ?? null);
  });
  return [times, ...columns];
}
