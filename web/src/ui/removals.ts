// What is deleted can be had back for a while: it is hidden at once, and deleted on the server when nobody has undone it.
// Nothing else brings back the very same: who gave it, and when.

import { useSyncExternalStore } from "react";
import { notify, offerUndo } from "./toasts";

/** For how long it can be undone, in milliseconds. */
const UNDO_TIME = 8_000;

type Removal = {
  /** Say what was deleted. */
  title: string;
  /** Delete it. `isLeaving`: the page is left, and the call must outlive it. */
  remove: (isLeaving: boolean) => Promise<unknown>;
  /** Called when it is there again: undone, or the server refused to delete it. */
  onBack?: () => void;
};

const pending = new Map<string, { removal: Removal; timer: ReturnType<typeof setTimeout>; close: () => void }>();
let hidden: ReadonlySet<string> = new Set();
const listeners = new Set<() => void>();

/** Delete something a little later, unless that is undone; until then it is hidden. */
export function removeLater(id: string, removal: Removal): void {
  if (hidden.has(id)) return;
  hide(id, true);
  const close = offerUndo(removal.title, () => {
    clearTimeout(pending.get(id)?.timer);
    pending.delete(id);
    hide(id, false);
    removal.onBack?.();
  });
  pending.set(id, { removal, close, timer: setTimeout(() => void settle(id), UNDO_TIME) });
}

/** Delete now what is hidden; what is done next may depend on it. */
export function settleRemovals(): void {
  for (const id of [...pending.keys()]) void settle(id);
}

/** Return the ids of what is hidden. */
export const useHidden = (): ReadonlySet<string> => useSyncExternalStore(subscribe, () => hidden);

/** Tell whether something is hidden now. */
export const isHidden = (id: string): boolean => hidden.has(id);

async function settle(id: string, isLeaving = false): Promise<void> {
  const one = pending.get(id);
  if (!one) return;
  pending.delete(id);
  clearTimeout(one.timer);
  one.close();
  try {
    await one.removal.remove(isLeaving);
  } catch (error) {
    hide(id, false);
    one.removal.onBack?.();
    notify(error as Error);
  }
}

function hide(id: string, isHidden: boolean): void {
  const next = new Set(hidden);
  if (isHidden) next.add(id);
  else next.delete(id);
  hidden = next;
  for (const listener of [...listeners]) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

if (typeof window !== "undefined") {
  window.addEventListener("pagehide", () => {
    for (const id of [...pending.keys()]) void settle(id, true);
  });
}
