import { expect, it } from "vitest";
import { allOrNone, extended, NOTHING, toggled } from "./selection";

const rows = ["a", "b", "c", "d"];
const ids = (selection: { ids: ReadonlySet<string> }) => [...selection.ids].sort().join("");

it("takes one in and out", () => {
  const one = toggled(NOTHING, "b");
  expect(ids(one)).toBe("b");
  expect(ids(toggled(one, "b"))).toBe("");
});

it("reaches with shift from the last one on, in both directions", () => {
  expect(ids(extended(toggled(NOTHING, "b"), rows, "d"))).toBe("bcd");
  expect(ids(extended(toggled(NOTHING, "c"), rows, "a"))).toBe("abc");
  expect(ids(extended(NOTHING, rows, "c"))).toBe("c");
  expect(ids(extended(toggled(NOTHING, "gone"), rows, "c"))).toBe("cgone");
});

it("takes all that are loaded, and none the second time", () => {
  const all = allOrNone(NOTHING, rows);
  expect(ids(all)).toBe("abcd");
  expect(allOrNone(all, rows)).toBe(NOTHING);
  expect(ids(toggled({ ...all, isAll: true }, "a"))).toBe("bcd");
  expect(toggled({ ...all, isAll: true }, "a").isAll).toBe(false);
});
