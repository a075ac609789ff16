// User input that the server has not confirmed. It is sent until the server answers; leaving the page asks first.

import { useSyncExternalStore } from "react";
import { ApiError } from "./client";
import { isAway, whenConnected } from "./connection";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;

let unconfirmed = 0;
const listeners = new Set<() => void>();

/** Send something until the server answers, with success or an error. The call must be safe to repeat, so it needs its
 * own id. Throws `ApiError` if the server refuses it. */
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

/** Return the number of calls that the server has not answered yet. */
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
