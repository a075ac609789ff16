// Loads parts of the page when they are first needed. The server may be away at that time, or have another version.

import { isAway, reportAway, whenConnected } from "~/api/connection";

const RELOADED = "afterword.reloaded";

/** Return a function that loads a part of the page; it waits while the server is away. */
export function loadPart<T>(load: () => Promise<T>): () => Promise<T> {
  return async () => {
    for (;;) {
      try {
        return await load();
      } catch (error) {
        if (await isServed()) {
          reloadOnce();
          throw error;
        }
        reportAway();
        await whenConnected();
      }
    }
  };
}

async function isServed(): Promise<boolean> {
  try {
    return !isAway((await fetch("/health", { cache: "no-store" })).status);
  } catch {
    return false;
  }
}

/** Reload the page, once. After an update of the server, parts of the old page no longer exist. Some browsers also
 * cache that a part could not be loaded. */
function reloadOnce(): void {
  const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
  if (Date.now() - last < 60_000) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}
