import { describe, expect, it } from "vitest";
import type { Interaction } from "~/api/client";
import { caughtUp, type Count, type InteractionPage, type Pages, recounted, rows, upserted, without } from "./pages";

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
  it("has the row once that ends one page and begins the next", () =>
    expect(ids(pages([one("d", "4"), one("c", "3")], [one("c", "3"), one("a", "1")]))).toEqual(["d", "c", "a"]));
  it("loses what was deleted", () => expect(ids(without(before, "c"))).toEqual(["d", "a"]));
});

describe("what was missed", () => {
  const page = (interactions: Interaction[], next: string | null): InteractionPage => ({ interactions, next, previous: null });
  const listed = pages([one("d", "4"), one("c", "3")], [one("a", "1")]);

  it.each<[string, InteractionPage, string[]]>([
    ["comes at the top", page([one("e", "5"), one("d", "4")], "more"), ["e", "d", "c", "a"]],
    ["comes in between", page([one("d", "4"), one("c", "3"), one("b", "2")], "more"), ["d", "c", "b", "a"]],
    ["is gone", page([one("d", "4"), one("a", "1")], "more"), ["d", "a"]],
    ["is all that is left", page([one("c", "3")], null), ["d", "c"]],
    ["is more than was looked at", page([one("h", "8"), one("g", "7")], "more"), ["h", "g"]],
  ])("%s", (_, now, wanted) => expect(ids(caughtUp(listed, now))).toEqual(wanted));

  it("leaves alone what the list was told since", () => {
    const now = page([one("e", "5"), one("d", "4", "old"), one("b", "2")], null);
    const after = caughtUp(listed, now, new Set(["e", "d", "c"]));
    expect(rows(after).map((row) => row.completion_id + row.completion)).toEqual(["d", "c", "b"]);
  });

  it("is left alone by a list that begins at a time", () => {
    const [first, ...others] = listed.pages;
    const at = { ...listed, pages: [{ ...(first as InteractionPage), previous: "more" }, ...others] };
    expect(caughtUp(at, page([one("h", "8")], "more"))).toBe(at);
  });
});

describe("a number that is counted on", () => {
  const counted: Count = { count: 40, newest: { interactions: [one("c", "3")], next: null, previous: null }, since: new Set(), isUnsure: false, at: 0, took: 1 };
  const before = [one("c", "3"), one("b", "2")];
  const after = (...arrived: Interaction[]) => [...arrived, ...before];
  const said = (count: Count) => [count.count, count.isUnsure];

  it.each<[string, Interaction[], string[], [number, boolean]]>([
    ["an arrival", [one("d", "4")], [], [41, false]],
    ["the same arrival twice", [one("d", "4"), one("d", "4", "rated")], [], [41, false]],
    ["two arrivals out of order", [one("e", "5"), one("d", "4")], [], [42, false]],
    ["one of the list that was rated", [one("b", "2", "rated")], [], [40, false]],
    ["the newest that was rated", [one("c", "3", "rated")], [], [40, false]],
    ["an older one that is not in the list", [one("0", "0")], [], [40, true]],
    ["one of the list that was deleted", [], ["b"], [39, false]],
    ["an arrival that was deleted", [one("d", "4")], ["d"], [40, false]],
    ["one that was deleted elsewhere", [], ["0"], [40, true]],
  ])("knows %s", (_, interactions, deleted, wanted) => {
    expect(said(recounted(counted, { interactions, deleted }, before, after()))).toEqual(wanted);
  });

  it("counts what the list has got by other ways, once", () => {
    const now = recounted(counted, { interactions: [], deleted: [] }, before, after(one("d", "4")));
    expect(said(now)).toEqual([41, false]);
    expect(recounted(now, { interactions: [one("d", "4")], deleted: [] }, before, after(one("d", "4")))).toBe(now);
  });
});
