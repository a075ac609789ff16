import { expect, test } from "vitest";
import { leftOutInWords, leftOutTotal } from "./leftOut";

test("what was left out is summed and said in words, the most frequent first", () => {
  const leftOut = { cut_off: 2, tie: 1200, novel: 1 };
  expect(leftOutTotal(leftOut)).toBe(1203);
  expect(leftOutInWords(leftOut)).toEqual(["1,200 ties", "2 cut off by a limit or a filter", "1 novel"]);
  expect([leftOutTotal({}), leftOutInWords({})]).toEqual([0, []]);
});
