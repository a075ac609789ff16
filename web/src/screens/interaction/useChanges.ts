// Changes to an interaction: shown at once, and reverted if the server refuses them.

import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { answer, api, type Feedback, type Interaction, type Schemas } from "~/api/client";
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
    // Run in order, so that a value is changed only after it was given.
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
    // Not in a later turn: a second quick key press must change the value of the first.
    void queries.cancelQueries({ queryKey });
    const before = queries.getQueryData(queryKey);
    if (before) queries.setQueryData(queryKey, applyOptimistically(before));
    mutate({ send, before });
  };
}

/** Change labels; an existing value of a key is replaced. Replaced and removed labels can be restored with Undo. */
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

/** Give, change and withdraw feedback on a completion. */
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
      // A value that was withdrawn and given again must be deleted first, so that only one remains.
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
    /** Delete a value. It can be undone until the server has deleted it. */
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

/** Delete a preference. It can be undone until the server has deleted it. */
export function removePreference(comparison_id: string, onDeleted: () => void): void {
  const params = { path: { comparison_id } };
  removeLater(comparison_id, {
    title: "The preference is deleted",
    remove: (keepalive) =>
      answer(api.DELETE("/api/v1/preferences/{comparison_id}", { params, keepalive })).then(onDeleted),
  });
}

/** Delete an interaction, and remove it from all lists. */
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

/** Return an interaction from a list: its texts may be cut, and its messages are missing. */
export function fromLists(queries: QueryClient, completionId: string): Interaction | undefined {
  for (const [, list] of queries.getQueriesData<CachedList>({ queryKey: ["interactions"] })) {
    const row = list?.pages && findRow({ pages: list.pages }, completionId);
    if (row) return row;
  }
  return undefined;
}

/** Show changes to the interaction in the lists that contain it, without fetching them again. */
function showInLists(queries: QueryClient, interaction: Interaction): void {
  queries.setQueriesData<CachedList>({ queryKey: ["interactions"] }, (list) =>
    list?.pages ? withOpinions({ ...list, pages: list.pages }, interaction) : list,
  );
  queries.setQueriesData<CachedThread>({ queryKey: ["transcript"] }, (thread) =>
    thread?.pages
      ? { ...thread, pages: thread.pages.map((page) => ({ ...page, turns: page.turns.map((turn) => rated(turn, interaction)) })) }
      : thread,
  );
}

type CachedThread = { pages?: { turns: Schemas["SessionTurn"][] }[] };

/** Return a turn with the feedback and preferences that its interaction has now. */
function rated(turn: Schemas["SessionTurn"], { completion_id, feedback, preferences }: Interaction): Schemas["SessionTurn"] {
  return turn.completion_id === completion_id ? { ...turn, feedback, preferences } : turn;
}
