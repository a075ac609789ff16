import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { ApiError, answer, api, type Filter, type Schemas } from "~/api/client";
import { whenConnected } from "~/api/connection";
import { sendUntilAnswered } from "~/api/sending";
import { notify } from "~/ui";
import { newId } from "~/ui/browser";
import { pairSideQuery } from "./PairSides";
import * as queue from "~/rules/judgingQueue";
import type { Choice } from "~/rules/verdicts";
import { sendVerdict } from "./sendVerdict";
import { findSession, storeSession } from "./storedSessions";

/** Milliseconds between two calls that renew the leases of the pairs. */
const RENEWAL_INTERVAL = 60_000;
/** The statuses of a server that cannot be reached; 0 stands for no answer at all. */
const UNREACHABLE = [0, 502, 504];

type Wanted = {
  id: string;
  project: string;
  filter: Filter;
  metric: string;
  again: boolean;
  /** The search parameters with which the session is opened again. */
  search: Record<string, string | undefined>;
};

/** Run a judging session: fetch pairs ahead, keep their leases, and send the verdicts on each pair in their order. */
export function useJudgingSession({ id, project, filter, metric, again, search }: Wanted) {
  const queries = useQueryClient();
  const [session, setSession] = useState(() => findSession(id));
  const [error, setError] = useState<unknown>(null);
  const [looks, setLooks] = useState(0);
  const latest = useRef(session);

  const update = useCallback(
    (change: (before: queue.JudgingSession) => queue.JudgingSession) => {
      latest.current = change(latest.current);
      storeSession(id, search, project, latest.current);
      setSession(latest.current);
    },
    [id, search, project],
  );
  const ask = useCallback(
    async (limit: number, keep = queue.keptPairs(latest.current)): Promise<Schemas["PairPage"]> => {
      const { cursor } = latest.current;
      return answer(
        api.POST("/api/v1/preferences/next", {
          body: { project, metric, sitting: id, filter, again, limit, keep, cursor: limit ? cursor : null },
        }),
      );
    },
    [project, metric, id, filter, again],
  );

  // One call at a time: each answer has the cursor of the next call.
  const busy = useRef(false);
  const missing = queue.missingPairs(session);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each look makes another call.
  useEffect(() => {
    if (busy.current || !missing || error !== null) return;
    busy.current = true;
    ask(missing)
      .then((page) => {
        const ids: { left: string; right: string }[] = [];
        for (const { left, right } of page.pairs) {
          for (const side of [left, right]) queries.setQueryData(pairSideQuery(side.completion_id).queryKey, side);
          ids.push({ left: left.completion_id, right: right.completion_id });
        }
        busy.current = false;
        update((before) => queue.withPage(before, { ...page, pairs: ids }));
      })
      .catch(async (cause) => {
        if (cause instanceof ApiError && UNREACHABLE.includes(cause.status)) await whenConnected();
        else setError(cause);
        busy.current = false;
      })
      .finally(() => setLooks((before) => before + 1));
  }, [missing, looks, error, ask, update, queries]);

  useEffect(() => {
    async function renew() {
      if (latest.current.isEnded || document.visibilityState !== "visible") return;
      // A call that fails is repeated after the next interval.
      const page = await ask(0).catch(() => null);
      if (!page?.lost.length) return;
      const { cursor, isExhausted } = latest.current;
      const at = latest.current.at;
      update((before) => ({ ...queue.withPage(before, { ...page, pairs: [], next: cursor }), cursor, isExhausted }));
      if (latest.current.at !== at) notify("Someone else has judged this pair meanwhile: here is another");
    }
    // After a reload or a pause, someone else may have the pairs.
    void renew();
    const timer = setInterval(renew, RENEWAL_INTERVAL);
    document.addEventListener("visibilitychange", renew);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", renew);
      // When the screen is left, others may have the pairs; free ones are leased again on return.
      void ask(0, []).catch(() => undefined);
    };
  }, [ask, update]);

  const send = useSending(metric, latest, update);

  return {
    session,
    error,
    /** The number of calls for pairs. If few are left, several calls may be needed to find one. */
    looks,
    /** Give a verdict on the current pair; a second verdict changes the first. */
    judge(choice: Choice, details: string) {
      const { at, entries } = latest.current;
      const old = entries[at]?.judged;
      if (!entries[at]) return;
      if (!old || old.choice !== choice || old.details !== details) {
        const judged = { choice, details, comparison_id: old?.comparison_id ?? newId(), isSent: false };
        update((before) => queue.withEntry(before, at, { judged, isSkipped: false }));
        send(at, !old?.isSent);
      }
    },
    /** Go to the pair at a position; null goes to the next pair without a verdict. */
    go: (at: number | null) => update((before) => ({ ...before, at: at ?? queue.nextOpen(before.entries, before.at) })),
    skip() {
      update((before) => {
        const entry = before.entries[before.at];
        const skipped = entry && !entry.judged ? queue.withEntry(before, before.at, { isSkipped: true }) : before;
        return { ...skipped, at: queue.nextOpen(skipped.entries, skipped.at) };
      });
    },
    retry: () => setError(null),
    /** Search for pairs from the beginning, because others may have given some back. */
    lookAgain() {
      update((before) => ({ ...before, cursor: null, isExhausted: false, wereHeld: false }));
    },
    /** End the session: give back the pairs without a verdict, and show the models. */
    end() {
      update((before) => ({ ...before, isEnded: true }));
      void ask(0, []).catch(() => undefined);
    },
  };
}

type Update = (change: (before: queue.JudgingSession) => queue.JudgingSession) => void;

/** Return how to send the verdict at a position: those on one pair in their order, each until the server answers. */
function useSending(metric: string, latest: RefObject<queue.JudgingSession>, update: Update) {
  const sending = useRef(new Map<number, Promise<void>>());
  const send = useCallback(
    (at: number, isNew: boolean) => {
      const deliver = async () => {
        const entry = latest.current.entries[at];
        const judged = entry?.judged;
        if (!entry || !judged) return;
        try {
          await sendUntilAnswered(() => sendVerdict(metric, entry, judged, isNew));
          update((before) => {
            const now = before.entries[at]?.judged;
            // A verdict that was changed meanwhile is confirmed by the next call in the queue.
            return now === judged ? queue.withEntry(before, at, { judged: { ...judged, isSent: true } }) : before;
          });
        } catch (cause) {
          notify(cause as Error);
          // A verdict that the server refuses, for example because a completion was deleted, is not sent again.
          const isRefused = cause instanceof ApiError && cause.status >= 400 && cause.status < 500 && cause.status !== 429;
          if (isRefused) update((before) => queue.withoutVerdict(before, at));
        }
      };
      sending.current.set(at, (sending.current.get(at) ?? Promise.resolve()).then(deliver));
    },
    [metric, latest, update],
  );
  // Send again what a reload has cut off. A verdict has an id of its own, so that it counts once.
  useEffect(() => {
    for (const [at, { judged }] of latest.current.entries.entries()) if (judged && !judged.isSent) send(at, true);
  }, [send, latest]);
  return send;
}
