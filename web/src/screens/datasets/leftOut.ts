import type { Schemas } from "~/api/client";
import { count, counted } from "~/ui/values";

type LeftOut = Record<string, number> | undefined;

const REASONS: Record<string, string> = {
  open: "under way",
  failed: "failed",
  cancelled: "cancelled by the caller",
  interrupted: "broken off",
  cut_off: "stopped by a filter",
  empty: "with an empty answer",
  expired: "text deleted",
  missing: "deleted",
  no_feedback: "without feedback",
  conflicting_feedback: "rated both ways by different people",
  tie: "tied",
  prompt_mismatch: "answers to different prompts",
  equal: "the same on both sides",
  contradictory: "contradicted by another",
  between_thresholds: "between the thresholds",
  split_conflict: "with answers on two sides of the split",
  duplicate: "the same as another",
  near_duplicate: "nearly the same as another",
};

/** Return how many did not become lines. */
export function leftOutTotal(leftOut: LeftOut): number {
  return Object.values(leftOut ?? {}).reduce((sum, number) => sum + number, 0);
}

/** Return each reason in words with its count, the most frequent first. */
export function leftOutInWords(leftOut: LeftOut): string[] {
  return Object.entries(leftOut ?? {})
    .sort(([, one], [, other]) => other - one)
    .map(([reason, number]) => `${count(number)} ${REASONS[reason] ?? reason}`);
}

/** A preview reads so many interactions. */
const MAX_PREVIEW_INTERACTION_COUNT = 2000;

/** Return how many lines a dataset would have, and of which interactions if not all were read. */
export function linesInWords({ lines, is_partial }: Pick<Schemas["DatasetPreview"], "lines" | "is_partial">): string {
  const words = lines ? counted(lines, "line") : "No line";
  return is_partial ? `${words} of the newest ${count(MAX_PREVIEW_INTERACTION_COUNT)} interactions` : words;
}
