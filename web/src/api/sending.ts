// What people gave and the server has not confirmed: it is sent until the server answers, and leaving asks.

import { useSyncExternalStore } from "react";
import { ApiError } from "./client";
import { isAway, whenConnected } from "./connection";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;

let unconfirmed = 0;
const listeners = new Set<() => void>();

/** Send something until the server answers, whatever that answer is. What is sent must be safe to repeat: give it an id
 * of its own. Throws `ApiError` for what the server refuses. */
export async function sendUntilAnswered<T>(send: () => Promise<T>): Promise<T> {
  count(1);
  try {
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        return await send();
      } catch (error) {
        if (!(error instanceof ApiError && isAway(error.status))) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      await whenConnected();
    }
  } finally {
    count(-1);
  }
}

/** Return how much was sent that the server has not answered yet. */
export const useUnconfirmed = (): number =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => unconfirmed,
  );

function count(by: number): void {
  unconfirmed += by;
  for (const listener of [...listeners]) listener();
}
