// An interaction after a change: shown at once, before the server has confirmed the change.

import type { Feedback, Interaction } from "~/api/client";
import type { InteractionPage } from "./pages";

export type FeedbackChange = { value?: number; details?: string | null; reason?: string | null };

/** Return the interaction with the labels of `set`, and without those whose keys are in `remove`. */
export function withLabels(interaction: Interaction, set: Record<string, string>, remove: readonly string[]): Interaction {
  const remaining = Object.entries(interaction.labels).filter(([key]) => !remove.includes(key));
  return { ...interaction, labels: { ...Object.fromEntries(remaining), ...set } };
}

/** Return the labels that such a change replaces or removes; setting them again undoes it. */
export function lostLabels(
  interaction: Interaction,
  set: Record<string, string>,
  remove: readonly string[],
): Record<string, string> {
  const isLost = ([key, value]: [string, string]) => remove.includes(key) || (set[key] ?? value) !== value;
  return Object.fromEntries(Object.entries(interaction.labels).filter(isLost));
}

/** Return the interaction with one more feedback, the newest first. */
export const withFeedback = (interaction: Interaction, feedback: Feedback): Interaction => ({
  ...interaction,
  feedback: [feedback, ...interaction.feedback],
});

export const withChangedFeedback = (interaction: Interaction, feedbackId: string, change: FeedbackChange): Interaction => ({
  ...interaction,
  feedback: interaction.feedback.map((one) => (one.feedback_id === feedbackId ? { ...one, ...change } : one)),
});

/** Return the interaction without the feedback for whose id `isGone` is true. */
export const withoutFeedback = (interaction: Interaction, isGone: (feedbackId: string) => boolean): Interaction => ({
  ...interaction,
  feedback: interaction.feedback.filter(({ feedback_id }) => !isGone(feedback_id)),
});

type List = { pages: InteractionPage[] };

/** Return the row of an interaction in a list; undefined if it is not listed. */
export function findRow(list: List, completionId: string): Interaction | undefined {
  for (const { interactions } of list.pages) {
    const row = interactions.find(({ completion_id }) => completion_id === completionId);
    if (row) return row;
  }
  return undefined;
}

/** Return the list with the labels, feedback and preferences of an interaction as they are now; the list itself if the
 * interaction is not in it. */
export function withOpinions<L extends List>(list: L, { completion_id, labels, feedback, preferences }: Interaction): L {
  if (!findRow(list, completion_id)) return list;
  const changed = (row: Interaction) => (row.completion_id === completion_id ? { ...row, labels, feedback, preferences } : row);
  return { ...list, pages: list.pages.map((page) => ({ ...page, interactions: page.interactions.map(changed) })) };
}
