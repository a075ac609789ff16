// Pairs of completions of the same prompt, to be judged one after the other.

import { answer, api, type Filter, type Interaction, type Schemas } from "~/api/client";

export type Pair = { left: Interaction; right: Interaction };

/** Return a number from 0 to 1 that is the same for the same text. */
export function drawn(text: string): number {
  let hash = 2166136261;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  return ((hash ^ (hash >>> 13)) >>> 0) / 4294967296;
}

/** Return a pair of different models among completions of one prompt, chosen and turned by a seed; null where there is
 * none, or where each was judged under the metric. */
export function pairOf(completions: readonly Interaction[], seed: string, metric: string, again: boolean): Pair | null {
  const order = completions.toSorted(
    (one, other) => drawn(seed + one.completion_id) - drawn(seed + other.completion_id),
  );
  for (const [index, left] of order.entries()) {
    for (const right of order.slice(index + 1)) {
      if (left.model !== right.model && (again || !isJudged(left, right, metric))) return { left, right };
    }
  }
  return null;
}

/** Tell whether someone has preferred one to the other under a metric already. */
export function isJudged(left: Interaction, right: Interaction, metric: string): boolean {
  return [...left.preferences, ...right.preferences].some(
    (one) =>
      one.metric === metric &&
      [one.preferred_completion, one.other_completion].includes(left.completion_id) &&
      [one.preferred_completion, one.other_completion].includes(right.completion_id),
  );
}

type Wanted = { project: string; filter: Filter; metric: string; seed: string; again: boolean };

/** Yield pairs of a filter without end being known: prompt after prompt that two models or more have answered. */
export async function* pairs(
  { project, filter, metric, seed, again }: Wanted,
  onLooked: (prompts: number) => void,
): AsyncGenerator<Pair> {
  let cursor: string | null = null;
  do {
    const groups = (await answer(
      api.POST("/api/v1/interactions/search", { body: { project, filter, group_by: "prompt", limit: 100, cursor } }),
    )) as Schemas["GroupPage"];
    onLooked(groups.groups.length);
    for (const group of groups.groups) {
      if (group.count < 2 || group.key === null) continue;
      const found = (await answer(
        api.POST("/api/v1/interactions/search", {
          body: {
            project,
            filter: { and: [filter, { prompt_hash: { eq: group.key } }] },
            view: "full",
            limit: 20,
          },
        }),
      )) as Schemas["InteractionPage"];
      const pair = pairOf(found.interactions, seed, metric, again);
      if (pair) yield pair;
    }
    cursor = groups.next;
  } while (cursor);
}
