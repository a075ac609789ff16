// Whether the server can be reached. A call that fails on the way says so here; from then on the server is asked until
// it answers. Whoever wants to send again waits for that, so that one call asks and not each of them.

import { useSyncExternalStore } from "react";

/** Statuses of a server that is away for a while, or of a proxy before it. 0 stands for no answer at all. */
const AWAY = [0, 502, 503, 504];
const FIRST_WAIT = 300;
const LONGEST_WAIT = 8_000;

let isConnected = true;
let wait = FIRST_WAIT;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<(isConnected: boolean) => void>();

/** Tell whether a status means that the same call may succeed a little later. */
export const isAway = (status: number): boolean => AWAY.includes(status);

/** Take note that a call did not reach the server. */
export function reportAway(): void {
  if (!isConnected) return;
  isConnected = false;
  wait = FIRST_WAIT;
  timer = setTimeout(ask, wait);
  changed();
}

/** Be told when the server goes or comes back. Returns how to stop that. */
export function onConnection(listener: (isConnected: boolean) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Return once the server can be reached: at once, where nothing speaks against it. */
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

/** Tell whether the server can be reached, as far as is known. */
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

/** The network has come back, or someone looks at the page again: nothing is gained by waiting on. */
function askNow(): void {
  if (!isConnected && document.visibilityState === "visible") void ask();
}

if (typeof window !== "undefined") {
  window.addEventListener("online", askNow);
  document.addEventListener("visibilitychange", askNow);
}
