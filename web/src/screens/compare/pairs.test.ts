import { describe, expect, it } from "vitest";
import type { Interaction } from "~/api/client";
import { drawn, pairOf } from "./pairs";

const one = (id: string, model: string, judged?: string): Interaction =>
  ({
    completion_id: id,
    model,
    preferences: judged ? [{ metric: "better", preferred_completion: id, other_completion: judged }] : [],
  }) as unknown as Interaction;

describe("a pair to judge", () => {
  const all = [one("1", "a"), one("2", "a"), one("3", "b")];
  it("is of two models", () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const pair = pairOf(all, String(seed), "better", false);
      expect(pair?.left.model).not.toBe(pair?.right.model);
    }
  });
  it("is the same for the same seed, and turned by others", () => {
    const lefts = new Set(Array.from({ length: 20 }, (_, seed) => pairOf(all, `${seed}`, "better", false)?.left.model));
    expect(lefts).toEqual(new Set(["a", "b"]));
    expect(pairOf(all, "7", "better", false)).toEqual(pairOf(all, "7", "better", false));
  });
  it("is not one that was judged, unless all are wanted", () => {
    const judged = [one("1", "a", "3"), one("3", "b")];
    expect(pairOf(judged, "s", "better", true)).not.toBeNull();
    expect(pairOf([one("1", "a", "3"), one("3", "b", "1")], "s", "better", false)).toBeNull();
  });
});

it("draws numbers from 0 to 1", () => {
  const all = Array.from({ length: 1000 }, (_, number) => drawn(`${number}`));
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...all)).toBeLessThan(1);
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
});
