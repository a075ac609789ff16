import { describe, expect, it } from "vitest";
import { MAX_DEPTH, turnTree } from "./steps";

const shown = (...turns: [string, string?][]) =>
  turnTree(turns.map(([completion_id, parent]) => ({ completion_id, parent: parent ?? null }))).map(
    ({ turn, above, stepCount }) => `${turn.completion_id}${above.length}${stepCount}`,
  );

describe("turns as a tree", () => {
  it("puts steps below their parent, also those that came before it", () => {
    expect(shown(["c", "a"], ["a"], ["d", "c"], ["b"], ["e", "a"])).toEqual(["a03", "c11", "d20", "e10", "b00"]);
  });
  it("lets a step without its parent stand by itself, and a circle come last", () => {
    expect(shown(["x", "y"], ["y", "x"], ["a", "gone"], ["b", "b"])).toEqual(["a00", "x01", "y10", "b00"]);
  });
  it("shows steps of any depth, but none deeper than the bound", () => {
    const turns = Array.from({ length: 5000 }, (_, index) => ({ completion_id: `${index}`, parent: `${index - 1}` }));
    const tree = turnTree(turns);
    expect(tree.map(({ turn }) => turn.completion_id)).toEqual(turns.map(({ completion_id }) => completion_id));
    expect(Math.max(...tree.map(({ above }) => above.length))).toBe(MAX_DEPTH);
  });
});
