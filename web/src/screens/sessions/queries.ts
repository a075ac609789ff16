// The queries of sessions: the list, and the turns of one.

import { infiniteQueryOptions } from "@tanstack/react-query";
import { answer, api, type Filter, type Schemas } from "~/api/client";

export type SessionSummary = Schemas["SessionSummary"];
export type SessionTurn = Schemas["SessionTurn"];

/** The sessions of which an interaction matches a filter, the newest activity first. */
export const sessionsQuery = (project: string, filter: Filter | null, min_turns: number) =>
  infiniteQueryOptions({
    queryKey: ["sessions", project, filter, min_turns],
    enabled: filter !== null,
    queryFn: ({ pageParam: cursor, signal }) =>
      answer(
        api.POST("/api/v1/sessions/search", { body: { project, filter, min_turns, cursor: cursor ?? null, limit: 50 }, signal }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

/** A session with its turns, the oldest first. */
export const transcriptQuery = (project: string, session_id: string) =>
  infiniteQueryOptions({
    queryKey: ["transcript", project, session_id],
    queryFn: ({ pageParam: cursor, signal }) =>
      answer(
        api.GET("/api/v1/sessions/{session_id}", {
          params: { path: { session_id }, query: { project, cursor, limit: 30 } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

/** What people call a session: its name, or the end of its id. */
export const nameOf = ({ session, session_id }: Pick<SessionSummary, "session" | "session_id">): string =>
  session ?? `…${session_id.slice(-8)}`;
