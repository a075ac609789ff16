// What is said of two completions, and how it reaches the server.

import { ApiError, answer, api, type Preference } from "~/api/client";

export type Choice = "left" | "right" | "good" | "bad";
type Pair = { left: string; right: string };

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

/** Return what a preference says of two completions. */
export function choiceOf(one: Preference, left: string): Choice {
  if (one.tied) return one.tied;
  return one.preferred_completion === left ? "left" : "right";
}

type Verdict = { comparison_id: string; choice: Choice; details: string };

/**
 * Log a verdict, or change the one that stands under its id: it is one vote however often it is sent, and whether an
 * earlier sending has arrived need not be known.
 */
export async function sendVerdict(metric: string, { left, right }: Pair, verdict: Verdict, isNew: boolean): Promise<void> {
  const { comparison_id, choice, details } = verdict;
  const body = preference(metric, left, right, choice, details);
  if (isNew) {
    try {
      await answer(api.POST("/api/v1/comparison", { body: { ...body, comparison_id } }));
      return;
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "comparison_exists")) throw error;
    }
  }
  const { preferred_completion, tied } = body;
  await answer(
    api.PATCH("/api/v1/preferences/{comparison_id}", {
      params: { path: { comparison_id } },
      body: { preferred_completion, tied, details: body.details },
    }),
  );
}
