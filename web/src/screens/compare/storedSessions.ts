// Judging sessions in the storage of the tab, so that a reload loses none.

import { type JudgingSession, NEW_SESSION } from "~/rules/judgingQueue";

const KEY = "afterword.sitting.";
const MAX_SESSIONS = 5;

/** Return the stored state of a session, or a new one. */
export function findSession(id: string): JudgingSession {
  try {
    const text = sessionStorage.getItem(KEY + id);
    return text ? { ...NEW_SESSION, ...JSON.parse(text).sitting } : NEW_SESSION;
  } catch {
    return NEW_SESSION;
  }
}

/** Store the state of a session, with the search parameters that open it again. The oldest sessions are deleted. */
export function storeSession(
  id: string,
  search: Record<string, string | undefined>,
  project: string,
  session: JudgingSession,
): void {
  try {
    sessionStorage.setItem(KEY + id, JSON.stringify({ search, project, sitting: session, kept: Date.now() }));
    for (const oldest of storedSessions().slice(MAX_SESSIONS)) sessionStorage.removeItem(KEY + oldest.id);
  } catch {
    // The storage of the browser is full: the session then ends with the page.
  }
}

type StoredSession = { id: string; search: Record<string, string>; project: string; sitting: JudgingSession; kept: number };

/** Return the stored sessions, the newest first. */
export function storedSessions(): StoredSession[] {
  const keys = Array.from({ length: sessionStorage.length }, (_, index) => sessionStorage.key(index) ?? "");
  return keys
    .filter((key) => key.startsWith(KEY))
    .map((key) => ({ ...JSON.parse(sessionStorage.getItem(key) ?? "{}"), id: key.slice(KEY.length) }) as StoredSession)
    .sort((one, other) => other.kept - one.kept);
}
