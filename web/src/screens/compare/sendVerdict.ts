import { ApiError, answer, api } from "~/api/client";
import type { PairIds } from "~/rules/judgingQueue";
import { type Choice, preference } from "~/rules/verdicts";

type Verdict = { comparison_id: string; choice: Choice; details: string };

/**
 * Log a verdict, or change the existing one with its id. It counts as one vote however often it is sent, and it does
 * not matter whether an earlier call has arrived.
 */
export async function sendVerdict(metric: string, { left, right }: PairIds, verdict: Verdict, isNew: boolean): Promise<void> {
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
