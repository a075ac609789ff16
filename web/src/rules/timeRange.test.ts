import { expect, it } from "vitest";
import { toFilter } from "./language";
import { momentOf, rangeName, splitTime, withTime } from "./timeRange";

it.each([
  ["", {}, ""],
  ["from:7d", { from: "7d" }, ""],
  ["label.env:prod from:7d refund", { from: "7d" }, "label.env:prod refund"],
  ['from:"2026-11-01T12:00:00.000Z" to:2026-11-02 a', { from: "2026-11-01T12:00:00.000Z", to: "2026-11-02" }, "a"],
  ["(from:7d OR a)", {}, "(from:7d OR a)"],
  ["label.x:\"y", {}, "label.x:\"y"],
])("finds the range of %s", (query, range, rest) => expect(splitTime(query)).toEqual({ range, rest }));

it.each([
  ["a from:7d", { from: "24h" }, "a from:24h"],
  ["a from:7d to:1d", {}, "a"],
  ["", { from: "2026-11-01T12:00:00.000Z" }, 'from:"2026-11-01T12:00:00.000Z"'],
  ["model:a OR model:b", { from: "1h" }, "(model:a OR model:b) from:1h"],
  ["(model:a OR model:b) from:7d", { from: "1h" }, "(model:a OR model:b) from:1h"],
])("puts another range into %s", (query, range, next) => {
  expect(withTime(query, range)).toBe(next);
  expect(() => toFilter(next)).not.toThrow();
});

it("knows moments and names ranges", () => {
  expect(momentOf("1h", 10_000_000)).toBe(6_400_000);
  expect(momentOf("2026-11-01", 0)).toBe(new Date(2026, 10, 1).getTime());
  expect(momentOf("soon", 0)).toBeNull();
  expect(rangeName({ from: "7d" })).toBe("Last 7 days");
  expect(rangeName({})).toBe("Any time");
  expect(rangeName({ from: "3h" })).toBe("Since 3h ago");
});
