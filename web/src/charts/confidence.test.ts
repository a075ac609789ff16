import { expect, it } from "vitest";
import { meanInterval, shareInterval } from "./confidence";

it.each([
  [5, 2.776],
  [11, 2.228],
  [31, 2.042],
  [1001, 1.962],
])("takes Student's quantile for %i values", (count, quantile) => {
  const [low, high] = meanInterval({ count, mean: 3, stddev: 2 }) ?? [];
  expect(high).toBeCloseTo(3 + (quantile * 2) / Math.sqrt(count), 2);
  expect((low ?? 0) + (high ?? 0)).toBeCloseTo(6);
});

it("takes Wilson's interval for shares", () => {
  const [low, high] = shareInterval({ count: 10, mean: 0.8 }) ?? [];
  expect(low).toBeCloseTo(0.4902, 3);
  expect(high).toBeCloseTo(0.9433, 3);
  expect(shareInterval({ count: 8, mean: 1 })?.[1]).toBe(1);
});

it("tells nothing of few values", () => {
  expect(meanInterval({ count: 4, mean: 3, stddev: 1 })).toBeNull();
  expect(shareInterval({ count: 4, mean: 0.5 })).toBeNull();
});
