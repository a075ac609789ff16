import { describe, expect, it } from "vitest";
import type { Interaction } from "~/api/client";
import { type Pages, rows, upserted, without } from "./pages";

const one = (id: string, at: string, completion = ""): Interaction =>
  ({ completion_id: id, created_at: at, completion }) as Interaction;

const pages = (...each: Interaction[][]): Pages => ({
  pageParams: each.map(() => null),
  pages: each.map((interactions, index) => ({
    interactions,
    next: index < each.length - 1 ? "more" : null,
    previous: null,
  })),
});

const ids = (found: Pages) => rows(found).map((row) => row.completion_id);

describe("a list that changes while one looks at it", () => {
  const before = pages([one("d", "4"), one("c", "3")], [one("a", "1")]);

  it("has what is new at the top", () => expect(ids(upserted(before, one("e", "5")))).toEqual(["e", "d", "c", "a"]));
  it("has what is older in its place", () =>
    expect(ids(upserted(before, one("b", "2")))).toEqual(["d", "c", "b", "a"]));
  it("shows what has changed where it was", () => {
    const after = upserted(before, one("c", "3", "new"));
    expect(ids(after)).toEqual(["d", "c", "a"]);
    expect(rows(after)[1]?.completion).toBe("new");
  });
  it("leaves what is older than all that was loaded to the page that it belongs to", () => {
    const more = { ...before, pages: before.pages.map((page) => ({ ...page, next: "more" })) };
    expect(ids(upserted(more, one("0", "0")))).toEqual(["d", "c", "a"]);
  });
  it("loses what was deleted", () => expect(ids(without(before, "c"))).toEqual(["d", "a"]));
});
