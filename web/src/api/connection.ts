// Whether the server can be reached. A call that does not reach it reports that here; the server is then polled until
// it answers. Callers wait for that before they send again, so that one request polls instead of each of them.

import { useSyncExternalStore } from "react";

/** Statuses of a server that is temporarily unreachable, or of a proxy before it. 0 stands for no answer. */
const AWAY = [0, 502, 503, 504];
const FIRST_WAIT = 300;
const LONGEST_WAIT = 8_000;

let isConnected = true;
let wait = FIRST_WAIT;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<(isConnected: boolean) => void>();

/** Tell whether a status means that the same call may succeed soon. */
export const isAway = (status: number): boolean => AWAY.includes(status);

/** Report that a call did not reach the server. */
export function reportAway(): void {
  if (!isConnected) return;
  isConnected = false;
  wait = FIRST_WAIT;
  timer = setTimeout(ask, wait);
  changed();
}

/** Listen to loss and return of the connection. Returns a function that stops listening. */
export function onConnection(listener: (isConnected: boolean) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Wait until the server can be reached; returns at once if it is not known to be away. */
export async function whenConnected(): Promise<void> {
  while (!isConnected) {
    await new Promise<void>((resolve) => {
      const stop = onConnection(() => {
        stop();
        resolve();
      });
    });
  }
}

/** Tell whether the server can be reached, as far as is known. The component is updated on changes. */
export const useConnected = (): boolean => useSyncExternalStore(onConnection, () => isConnected);

async function ask(): Promise<void> {
  clearTimeout(timer);
  if (await isReady()) {
    isConnected = true;
    changed();
    return;
  }
  wait = Math.min(2 * wait, LONGEST_WAIT);
  timer = setTimeout(ask, wait);
}

async function isReady(): Promise<boolean> {
  try {
    return !isAway((await fetch("/ready", { cache: "no-store" })).status);
  } catch {
    return false;
  }
}

function changed(): void {
  for (const listener of [...listeners]) listener(isConnected);
}

/** Poll now: the network has come back, or the page is visible again. */
function askNow(): void {
  if (!isConnected && document.visibilityState === "visible") void ask();
}

if (typeof window !== "undefined") {
  window.addEventListener("online", askNow);
  document.addEventListener("visibilitychange", askNow);
}
