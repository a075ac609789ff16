import { describe, expect, it } from "vitest";
import { type Entry, keptPairs, missingPairs, NEW_SITTING, nextOpen, type Sitting, withEntry, withPage } from "./sitting";

const pair = (number: number) => ({ left: `l${number}`, right: `r${number}` });
const judged = (isSent: boolean): Partial<Entry> => ({ judged: { choice: "left", details: "", comparison_id: "c", isSent } });
const page = (numbers: number[], next: string | null = "more") => ({ pairs: numbers.map(pair), lost: [], next, held: 0 });
const of = (...numbers: number[]): Sitting => withPage(NEW_SITTING, page(numbers));

describe("a sitting", () => {
  it("takes each pair once, whichever side it comes on", () => {
    const turned = { ...page([3]), pairs: [{ left: "r1", right: "l1" }, pair(3)] };
    expect(withPage(of(1, 2), turned).entries).toEqual([pair(1), pair(2), pair(3)]);
  });
  it("keeps from others what is to be judged and what is not confirmed", () => {
    let sitting = of(1, 2, 3, 4);
    sitting = withEntry(sitting, 0, judged(true));
    sitting = withEntry(sitting, 1, judged(false));
    sitting = withEntry(sitting, 2, { isSkipped: true });
    expect(keptPairs({ ...sitting, at: 3 })).toEqual([pair(2), pair(4)]);
    // One that was skipped is looked at again.
    expect(keptPairs({ ...sitting, at: 2 })).toEqual([pair(2), pair(3), pair(4)]);
  });
  it("fetches ahead until the server has no more", () => {
    expect(missingPairs(NEW_SITTING)).toBe(6);
    expect(missingPairs(of(1, 2, 3, 4))).toBe(0);
    expect(missingPairs({ ...of(1, 2, 3, 4), at: 2 })).toBe(4);
    expect(missingPairs(withPage(NEW_SITTING, page([1], null)))).toBe(0);
    expect(missingPairs({ ...NEW_SITTING, isEnded: true })).toBe(0);
  });
  it("passes over what someone else has meanwhile, and keeps what was said of it", () => {
    const sitting = withEntry(of(1, 2, 3), 0, judged(true));
    const lost = withPage({ ...sitting, at: 1 }, { ...page([], "more"), lost: [pair(1), pair(2)] });
    expect(lost.at).toBe(2);
    expect(lost.entries.map(({ isSkipped }) => isSkipped ?? false)).toEqual([false, true, false]);
  });
  it("goes on with the next pair that is neither judged nor skipped", () => {
    const sitting = withEntry(withEntry(of(1, 2, 3, 4), 1, judged(true)), 2, { isSkipped: true });
    expect(nextOpen(sitting.entries, 0)).toBe(3);
    expect(nextOpen(sitting.entries, 3)).toBe(4);
  });
});
