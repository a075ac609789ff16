import { count } from "~/ui/values";

type LeftOut = Record<string, number> | undefined;

const REASONS: Record<string, string> = {
  open: "under way",
  failed: "failed",
  cancelled: "cancelled by the caller",
  interrupted: "broken off",
  cut_off: "stopped by a filter",
  empty: "say nothing",
  expired: "text deleted",
  missing: "deleted",
  no_feedback: "without feedback",
  conflicting_feedback: "rated both ways by different people",
  tie: "ties",
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
