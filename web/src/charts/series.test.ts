import { expect, it } from "vitest";
import type { Schemas } from "~/api/client";
import { aligned, drawnKeys, seriesOf, toggledSeries } from "./series";

const trend = {
  metric: "CSAT",
  interval: "day",
  timezone: "UTC",
  series: [
    { key: "a", points: [{ start: "2026-11-01T00:00:00Z", end: "2026-11-02T00:00:00Z", count: 2, mean: 4 }] },
    { key: null, points: [{ start: "2026-11-03T00:00:00Z", end: "2026-11-04T00:00:00Z", count: 1, mean: null }] },
  ],
} as Schemas["Trend"];

it("draws means where there are any, and counts everywhere", () => {
  expect(seriesOf(trend, "mean").map(({ points }) => points.length)).toEqual([1, 0]);
  expect(seriesOf(trend, "count").map(({ name, points }) => [name, points[0]?.value])).toEqual([
    ["a", 2],
    ["none", 1],
  ]);
});

it("knows how sure a mean is, where there are values enough", () => {
  const point = { start: "2026-11-01T00:00:00Z", end: "2026-11-02T00:00:00Z", mean: 0.5, stddev: 0.2 };
  const points = [{ ...point, count: 20 }, { ...point, count: 2 }];
  const many = { ...trend, series: [{ key: null, points }] } as Schemas["Trend"];
  const [mean, share] = [seriesOf(many, "mean"), seriesOf(many, "share")].map(([series]) => series?.points);
  expect(mean?.map(({ interval }) => interval?.map((end) => end.toFixed(3)))).toEqual([["0.406", "0.594"], undefined]);
  expect(share?.map(({ interval }) => interval?.map((end) => end.toFixed(3)))).toEqual([["0.299", "0.701"], undefined]);
});

it("draws the series with the most values, until others are chosen", () => {
  const keys = [...Array.from({ length: 12 }, (_, number) => `m,${number}`), null];
  expect(drawnKeys(keys, undefined)).toEqual(keys.slice(0, 8));
  const chosen = toggledSeries(["m,0"], null);
  expect(drawnKeys(keys, chosen)).toEqual(["m,0", null]);
  expect(drawnKeys(keys, toggledSeries(drawnKeys(keys, chosen), "m,0"))).toEqual([null]);
  expect(seriesOf(trend, "count", [null]).map(({ name }) => name)).toEqual(["none"]);
});

it("puts all series on one axis of time, with gaps where they have nothing", () => {
  const [times, a, b] = aligned(seriesOf(trend, "count"));
  expect(times).toHaveLength(2);
  expect(a).toEqual([2, null]);
  expect(b).toEqual([null, 1]);
});
