// Verdicts on two completions, and their conversion to and from preferences.

import type { Preference } from "~/api/client";

export type Choice = "left" | "right" | "good" | "bad";

/** Return the body that logs a choice between two completions. */
export function preference(metric: string, left: string, right: string, choice: Choice, details: string) {
  const isRight = choice === "right";
  return {
    metric,
    preferred_completion: isRight ? right : left,
    other_completion: isRight ? left : right,
    tied: choice === "good" || choice === "bad" ? choice : null,
    details: details.trim() || null,
  };
}

/** Return the verdict of a preference. */
export function choiceOf(one: Preference, left: string): Choice {
  if (one.tied) return one.tied;
  return one.preferred_completion === left ? "left" : "right";
}
