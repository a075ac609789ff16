// Parts of the page that are loaded when they are first needed, on a server that may be away just then, or newer.

import { isAway, reportAway, whenConnected } from "~/api/connection";

const RELOADED = "afterword.reloaded";

/** Return how to load a part of the page: while the server is away, that waits for it. */
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

/** After an update of the server, parts of the page that was open before are gone. Some browsers also remember of a part
 * that it could not be loaded. The page is loaded anew, once. */
function reloadOnce(): void {
  const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
  if (Date.now() - last < 60_000) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}
