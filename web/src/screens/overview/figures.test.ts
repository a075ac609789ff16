import { expect, it } from "vitest";
import { changeOf, together } from "./figures";

const counts = {
  now: new Map([["a", { count: 10, failed: 0 }], ["b", { count: 30, failed: 3 }]]),
  before: new Map([["a", { count: 5, failed: 0 }], ["c", { count: 2, failed: 0 }]]),
};
const latency = {
  now: new Map([["a", { mean: 100, count: 10 }], ["b", { mean: 300, count: 30 }]]),
  before: new Map([["a", { mean: 50, count: 5 }]]),
};

it("puts a time beside the one before, the busiest model first", () => {
  const { models, total } = together(counts, [latency]);
  expect(models.map(({ model, count, countBefore }) => [model, count, countBefore])).toEqual([
    ["b", 30, 0],
    ["a", 10, 5],
    ["c", 0, 2],
  ]);
  expect(models[1]?.means).toEqual([{ now: 100, before: 50 }]);
  expect(total).toMatchObject({ count: 40, countBefore: 7, failed: 3, means: [{ now: 250, before: 50 }] });
});

it("tells a mean that is being fetched from one that nothing has", () => {
  const { models, total } = together(counts, [null, { now: new Map(), before: new Map() }]);
  for (const { means } of [...models, total]) expect(means).toEqual([null, { now: null, before: null }]);
});

it.each([
  [150, 100, 0.5],
  [50, 100, -0.5],
  [1, 0, undefined],
  [null, 3, undefined],
])("%s against %s is %s more", (now, before, share) => expect(changeOf(now, before)?.share).toBe(share));
