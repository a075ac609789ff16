// What one changes of an interaction: shown at once, taken back where the server refuses it.

import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { answer, api, type Feedback, type Interaction } from "~/api/client";
import { interactionQuery } from "~/api/queries";
import { sendUntilAnswered } from "~/api/sending";
import { sessionQuery } from "~/api/session";
import {
  type FeedbackChange,
  findRow,
  lostLabels,
  withChangedFeedback,
  withFeedback,
  withLabels,
  withOpinions,
  withoutFeedback,
} from "~/rules/optimistic";
import type { Pages } from "~/rules/pages";
import { notify } from "~/ui";
import { newId } from "~/ui/browser";
import { isHidden, removeLater, settleRemovals } from "~/ui/removals";
import { offerUndo } from "~/ui/toasts";

type Change = { send: () => Promise<unknown>; applyOptimistically: (before: Interaction) => Interaction };
type Sending = { send: Change["send"]; before: Interaction | undefined };

function useChange(project: string, completionId: string) {
  const queries = useQueryClient();
  const { queryKey } = interactionQuery(completionId);
  const mutationKey = ["change", completionId];
  const { mutate } = useMutation({
    mutationKey,
    // One after the other: a value is changed only after it was given.
    scope: { id: completionId },
    mutationFn: ({ send }: Sending) => sendUntilAnswered(send),
    onError: (error, { before }) => {
      if (before) queries.setQueryData(queryKey, before);
      notify(error);
    },
    onSettled: async () => {
      if (queries.isMutating({ mutationKey }) > 1) return;
      await queries.invalidateQueries({ queryKey });
      const now = queries.getQueryData(queryKey);
      if (now) showInLists(queries, now);
      for (const key of ["statistics", "labels"]) void queries.invalidateQueries({ queryKey: [key, project] });
    },
  });
  return ({ send, applyOptimistically }: Change) => {
    // At once, and not with the next turn: whoever presses two keys quickly changes the first value with the second.
    void queries.cancelQueries({ queryKey });
    const before = queries.getQueryData(queryKey);
    if (before) queries.setQueryData(queryKey, applyOptimistically(before));
    mutate({ send, before });
  };
}

/** Change labels; what was there under a key is replaced. What is replaced or taken away can be had back. */
export function useLabelChange(project: string, interaction: Interaction) {
  const change = useChange(project, interaction.completion_id);
  const send = (set: Record<string, string>, remove: string[]) =>
    change({
      send: () =>
        answer(
          api.PATCH("/api/v1/interactions/{completion_id}/labels", {
            params: { path: { completion_id: interaction.completion_id } },
            body: { set, remove },
          }),
        ),
      applyOptimistically: (before) => withLabels(before, set, remove),
    });
  return (set: Record<string, string>, remove: string[] = []) => {
    const lost = lostLabels(interaction, set, remove);
    send(set, remove);
    const keys = Object.keys(lost);
    if (keys.length) offerUndo(`${keys.join(", ")}: ${remove.length ? "removed" : "changed"}`, () => send(lost, []));
  };
}

/** Give, change and take back feedback on a completion. */
export function useFeedbackChange(project: string, completionId: string) {
  const queries = useQueryClient();
  const change = useChange(project, completionId);
  const { data: session } = useQuery(sessionQuery);
  return {
    give(metric: string, value: number, details: string | null): string {
      const feedback: Feedback = {
        feedback_id: newId(),
        completion_id: completionId,
        metric,
        value,
        details,
        reason: null,
        user: null,
        actor: session?.name ?? "",
        created_at: new Date().toISOString(),
        mine: true,
      };
      const { feedback_id } = feedback;
      // Whoever takes a value back and gives another has given one.
      settleRemovals();
      change({
        send: () =>
          answer(api.POST("/api/v1/feedback", { body: { completion_id: completionId, metric, value, details, feedback_id } })),
        applyOptimistically: (before) => withFeedback(before, feedback),
      });
      return feedback_id;
    },
    change(feedback_id: string, body: FeedbackChange): void {
      change({
        send: () => answer(api.PATCH("/api/v1/feedback/{feedback_id}", { params: { path: { feedback_id } }, body })),
        applyOptimistically: (before) => withChangedFeedback(before, feedback_id, body),
      });
    },
    /** Delete a value; until that is done, it can be undone. */
    withdraw(feedback_id: string): void {
      const path = { feedback_id };
      const call = (keepalive: boolean) => answer(api.DELETE("/api/v1/feedback/{feedback_id}", { params: { path }, keepalive }));
      const show = () => {
        const shown = queries.getQueryData(interactionQuery(completionId).queryKey);
        if (shown) showInLists(queries, withoutFeedback(shown, isHidden));
      };
      removeLater(feedback_id, {
        title: "The feedback is deleted",
        remove: (isLeaving) =>
          isLeaving
            ? call(true)
            : new Promise((resolve, reject) => {
                const send = () => call(false).then(resolve, reject);
                change({ send, applyOptimistically: (before) => withoutFeedback(before, (id) => id === feedback_id) });
              }),
        onBack: show,
      });
      show();
    },
  };
}

/** Delete a preference; until that is done, it can be undone. */
export function removePreference(comparison_id: string, onDeleted: () => void): void {
  const params = { path: { comparison_id } };
  removeLater(comparison_id, {
    title: "The preference is deleted",
    remove: (keepalive) =>
      answer(api.DELETE("/api/v1/preferences/{comparison_id}", { params, keepalive })).then(onDeleted),
  });
}

/** Delete an interaction, everywhere. */
export function useDeletion(completionId: string, onDeleted: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      answer(
        api.DELETE("/api/v1/interactions/{completion_id}", { params: { path: { completion_id: completionId } } }),
      ),
    onSuccess: () => {
      notify("The interaction is deleted");
      onDeleted();
      queries.removeQueries({ queryKey: ["interaction", completionId] });
      for (const key of ["interactions", "interactions-count", "interactions-of"]) {
        void queries.invalidateQueries({ queryKey: [key] });
      }
    },
    onError: (error) => notify(error),
  }).mutate;
}

type CachedList = { pages?: Pages["pages"] };

/** Return an interaction as a list has it: its texts may be cut, its messages are missing. */
export function fromLists(queries: QueryClient, completionId: string): Interaction | undefined {
  for (const [, list] of queries.getQueriesData<CachedList>({ queryKey: ["interactions"] })) {
    const row = list?.pages && findRow({ pages: list.pages }, completionId);
    if (row) return row;
  }
  return undefined;
}

/** Show what changed where the interaction stands in a list, without asking for the whole list again. */
function showInLists(queries: QueryClient, interaction: Interaction): void {
  queries.setQueriesData<CachedList>({ queryKey: ["interactions"] }, (list) =>
    list?.pages ? withOpinions({ ...list, pages: list.pages }, interaction) : list,
  );
}
