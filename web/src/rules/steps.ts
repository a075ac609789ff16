// The turns of a session as a tree: each step below its parent.

import type { Schemas } from "~/api/client";

type Turn = Pick<Schemas["SessionTurn"], "completion_id" | "parent">;

export type TurnInTree<T> = {
  turn: T;
  /** The ids of the turns above it, the nearest last. Its length is the depth at which the turn is shown. */
  above: readonly string[];
  /** How many steps stand below it, at any depth. */
  stepCount: number;
};

/** Deeper steps are shown at this depth. */
export const MAX_DEPTH = 8;

/**
 * Return the turns in the order in which they are shown: a step below its parent, in the order of time among the steps of
 * one parent. A turn whose parent is not among them stands by itself. Turns whose parents form a circle come last.
 */
export function turnTree<T extends Turn>(turns: readonly T[]): TurnInTree<T>[] {
  const ids = new Set(turns.map(({ completion_id }) => completion_id));
  const stepsByParent = new Map<string | null, T[]>();
  for (const turn of turns) {
    const parent = turn.parent && ids.has(turn.parent) ? turn.parent : null;
    stepsByParent.set(parent, [...(stepsByParent.get(parent) ?? []), turn]);
  }
  const shown = new Map<string, TurnInTree<T>>();
  for (const first of [...(stepsByParent.get(null) ?? []), ...turns]) {
    const waiting: { turn: T; above: readonly string[] }[] = [{ turn: first, above: [] }];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { turn, above } = next;
      const id = turn.completion_id;
      if (shown.has(id)) continue;
      shown.set(id, { turn, above, stepCount: 0 });
      for (const parent of above) (shown.get(parent) as TurnInTree<T>).stepCount += 1;
      const steps = (stepsByParent.get(id) ?? []).map((step) => ({ turn: step, above: above.length < MAX_DEPTH ? [...above, id] : above }));
      waiting.push(...steps.reverse());
    }
  }
  return [...shown.values()];
}
