import { describe, expect, it } from "vitest";
import { type Entry, keptPairs, missingPairs, NEW_SESSION, nextOpen, type JudgingSession, withEntry, withPage } from "./judgingQueue";

const pair = (number: number) => ({ left: `l${number}`, right: `r${number}` });
const judged = (isSent: boolean): Partial<Entry> => ({ judged: { choice: "left", details: "", comparison_id: "c", isSent } });
const page = (numbers: number[], next: string | null = "more") => ({ pairs: numbers.map(pair), lost: [], next, held: 0 });
const of = (...numbers: number[]): JudgingSession => withPage(NEW_SESSION, page(numbers));

describe("a sitting", () => {
  it("takes each pair once, whichever side it comes on", () => {
    const turned = { ...page([3]), pairs: [{ left: "r1", right: "l1" }, pair(3)] };
    expect(withPage(of(1, 2), turned).entries).toEqual([pair(1), pair(2), pair(3)]);
  });
  it("keeps from others what is to be judged and what is not confirmed", () => {
    let session = of(1, 2, 3, 4);
    session = withEntry(session, 0, judged(true));
    session = withEntry(session, 1, judged(false));
    session = withEntry(session, 2, { isSkipped: true });
    expect(keptPairs({ ...session, at: 3 })).toEqual([pair(2), pair(4)]);
    // One that was skipped is looked at again.
    expect(keptPairs({ ...session, at: 2 })).toEqual([pair(2), pair(3), pair(4)]);
  });
  it("fetches ahead until the server has no more", () => {
    expect(missingPairs(NEW_SESSION)).toBe(6);
    expect(missingPairs(of(1, 2, 3, 4))).toBe(0);
    expect(missingPairs({ ...of(1, 2, 3, 4), at: 2 })).toBe(4);
    expect(missingPairs(withPage(NEW_SESSION, page([1], null)))).toBe(0);
    expect(missingPairs({ ...NEW_SESSION, isEnded: true })).toBe(0);
  });
  it("passes over what someone else has meanwhile, and keeps what was said of it", () => {
    const session = withEntry(of(1, 2, 3), 0, judged(true));
    const lost = withPage({ ...session, at: 1 }, { ...page([], "more"), lost: [pair(1), pair(2)] });
    expect(lost.at).toBe(2);
    expect(lost.entries.map(({ isSkipped }) => isSkipped ?? false)).toEqual([false, true, false]);
  });
  it("goes on with the next pair that is neither judged nor skipped", () => {
    const session = withEntry(withEntry(of(1, 2, 3, 4), 1, judged(true)), 2, { isSkipped: true });
    expect(nextOpen(session.entries, 0)).toBe(3);
    expect(nextOpen(session.entries, 3)).toBe(4);
  });
});
