import { expect, it } from "vitest";
import type { Schemas } from "~/api/client";
import { barsOf, draggedRange, intervalFor } from "./timeline";

const HOUR = 3_600_000;
const trend = (points: [hour: number, count: number, mean?: number][]) =>
  ({
    series: [
      {
        key: null,
        points: points.map(([hour, count, mean]) => ({
          start: new Date(hour * HOUR).toISOString(),
          end: new Date((hour + 1) * HOUR).toISOString(),
          count,
          mean,
        })),
      },
    ],
  }) as unknown as Schemas["Trend"];

it.each([
  [1, "minute"],
  [24, "hour"],
  [7 * 24, "day"],
  [3 * 365 * 24, "week"],
])("shows %i hours by %s", (hours, interval) => expect(intervalFor(hours * HOUR)).toBe(interval));

it("puts volume, failures and a metric together", () => {
  const volume = trend([[1, 5], [3, 2]]);
  Object.assign(volume.series[0]?.points[1] ?? {}, { failed: 1 });
  const bars = barsOf(volume, trend([[1, 4, 3.5]]));
  expect(bars.map(({ start, count, failed, mean }) => [start / HOUR, count, failed, mean])).toEqual([
    [1, 5, 0, 3.5],
    [3, 2, 1, null],
  ]);
  expect(barsOf({ series: [] } as unknown as Schemas["Trend"])).toEqual([]);
});

it("takes whole bars into a dragged range, whichever way it is dragged", () => {
  const bars = barsOf(trend([[1, 5], [3, 2]]));
  const whole = { from: HOUR, to: 4 * HOUR };
  expect(draggedRange(bars, 1.5 * HOUR, 3.5 * HOUR)).toEqual(whole);
  expect(draggedRange(bars, 3.5 * HOUR, 1.5 * HOUR)).toEqual(whole);
  expect(draggedRange(bars, 1.5 * HOUR, 1.5 * HOUR)).toEqual({ from: HOUR, to: 2 * HOUR });
});
