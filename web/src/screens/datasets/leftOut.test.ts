import { expect, test } from "vitest";
import { leftOutInWords, leftOutTotal, linesInWords } from "./leftOut";

test("what was left out is summed and said in words, the most frequent first", () => {
  const leftOut = { cut_off: 2, tie: 1200, novel: 1 };
  expect(leftOutTotal(leftOut)).toBe(1203);
  expect(leftOutInWords(leftOut)).toEqual(["1,200 tied", "2 stopped by a filter", "1 novel"]);
  expect([leftOutTotal({}), leftOutInWords({})]).toEqual([0, []]);
});

test("a preview of a part says that it is one", () => {
  expect(linesInWords({ lines: 1200, is_partial: false })).toBe("1,200 lines");
  expect(linesInWords({ lines: 1, is_partial: true })).toBe("1 line of the newest 2,000 interactions");
  expect(linesInWords({ lines: 0, is_partial: false })).toBe("No line");
});
