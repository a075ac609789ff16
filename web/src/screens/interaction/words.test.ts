import { expect, it } from "vitest";
import type { Metric, Preference } from "~/api/client";
import { errorOf, keyedValue, meansOf, outcomeOf, preferredOver, quickValues } from "./words";

const call = { state: "complete", finish_reason: "stop", error: null, request_id: null } as const;

it("says how a call ended", () => {
  expect(outcomeOf(null)).toBeNull();
  expect(outcomeOf(call)?.text).toBe("finished");
  expect(outcomeOf({ ...call, finish_reason: "length" })).toEqual({ text: "cut off at the length limit", tone: "warn" });
  expect(outcomeOf({ ...call, finish_reason: "eos" })?.text).toBe("eos");
  expect(outcomeOf({ ...call, state: "failed", finish_reason: "error" })?.text).toBe("failed");
  expect(errorOf({ ...call, error: { message: "Too many", status: 429, code: "limit" } })).toBe("Too many (429, limit)");
});

it("tells a preference from both sides", () => {
  const preference = { preferred_completion: "a", other_completion: "b", tied: null } as Preference;
  expect(preferredOver(preference, "a")).toMatchObject({ text: "preferred to", other: "b" });
  expect(preferredOver(preference, "b")).toMatchObject({ text: "not preferred to", other: "a" });
  expect(preferredOver({ ...preference, tied: "bad" }, "b")).toMatchObject({ text: "as bad as", other: "a" });
});

const scalar = (description: string, unit = "") => ({ kind: "scalar", description, unit }) as Metric;

it.each([
  [scalar(""), [1, 2, 3, 4, 5]],
  [scalar("", "stars"), [1, 2, 3, 4, 5]],
  [scalar("", "ms"), []],
  [scalar("From 1 to 3"), [1, 2, 3]],
  [scalar("0–10, how likely"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  [scalar("a share, 0..1"), [0, 0.25, 0.5, 0.75, 1]],
  [scalar("0 to 100"), []],
])("offers %o", (metric, values) => expect(quickValues(metric)).toEqual(values));

it("knows what a number key stands for", () => {
  expect(keyedValue({ kind: "bool" } as Metric, 0)).toBe(0);
  expect(keyedValue({ kind: "bool" } as Metric, 2)).toBeNull();
  expect(keyedValue(scalar(""), 5)).toBe(5);
  expect(keyedValue(scalar(""), 6)).toBeNull();
  expect(keyedValue(scalar("0..1"), 3)).toBe(0.5);
  expect(keyedValue(scalar("", "ms"), 3)).toBeNull();
});

it("means", () => {
  const given = (metric: string, value: number) => ({ metric, value }) as never;
  expect(meansOf([given("a", 1), given("b", 0), given("a", 4)])).toEqual([["a", 2.5, 2], ["b", 0, 1]]);
});
