// The current session. The key itself is never stored here: the server's cookie is used, which no script can read.

import { queryOptions } from "@tanstack/react-query";
import { forgetDrafts } from "~/ui/useDraft";
import { ApiError, answer, api, keepToken, type Schemas } from "./client";

export type Session = Schemas["Session"];

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await answer(api.GET("/api/v1/session"));
      keepToken(session.csrf_token);
      return session;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: Number.POSITIVE_INFINITY,
});

/** Sign in with an API key. Throws `ApiError`. */
export async function signIn(api_key: string): Promise<Session> {
  const session = await answer(api.POST("/api/v1/session", { body: { api_key } }));
  keepToken(session.csrf_token);
  return session;
}

export async function signOut(): Promise<void> {
  await answer(api.DELETE("/api/v1/session"));
  keepToken(null);
  // The next person who signs in must not see drafts and verdicts of this tab.
  sessionStorage.clear();
  forgetDrafts();
}
