// Deletions that can be undone: the page hides a row at once, and deletes it on the server some seconds later. A row
// that was deleted and logged again would have another author and another time.

import { useSyncExternalStore } from "react";
import { notify, offerUndo } from "./toasts";

const UNDO_MILLISECONDS = 8_000;
/** Browsers let at least this many calls outlive a page. With more rows pending, leaving the page asks first. */
const MAX_ROWS_WHILE_LEAVING = 100;

type Removal = {
  /** The text of the notice, such as "The feedback is deleted". */
  title: string;
  /** Delete the rows on the server. With `isLeaving` the page is being closed, and the call must outlive it. */
  remove: (isLeaving: boolean) => Promise<unknown>;
  /** Called when the rows are shown again, because of Undo or because the server refused to delete it. */
  onBack?: () => void;
};

type Pending = { ids: readonly string[]; removal: Removal; timer: ReturnType<typeof setTimeout>; close: () => void };

/** The removals by the first of their ids. */
const pending = new Map<string, Pending>();
let hidden: ReadonlySet<string> = new Set();
const listeners = new Set<() => void>();

/** Hide the row with an id, and delete it after UNDO_MILLISECONDS unless someone presses Undo. */
export const removeLater = (id: string, removal: Removal): void => removeAllLater([id], removal);

/** Hide the rows with these ids, and delete them together after UNDO_MILLISECONDS unless someone presses Undo. */
export function removeAllLater(all: readonly string[], removal: Removal): void {
  const ids = all.filter((one) => !hidden.has(one));
  const [id] = ids;
  if (id === undefined) return;
  hide(ids, true);
  const close = offerUndo(removal.title, () => {
    clearTimeout(pending.get(id)?.timer);
    pending.delete(id);
    hide(ids, false);
    removal.onBack?.();
  });
  pending.set(id, { ids, removal, close, timer: setTimeout(() => void settle(id), UNDO_MILLISECONDS) });
}

/** Send all pending deletions now, because the next call depends on their order. */
export function settleRemovals(): void {
  for (const id of [...pending.keys()]) void settle(id);
}

/** Return the ids of the hidden rows. */
export const useHidden = (): ReadonlySet<string> => useSyncExternalStore(subscribe, () => hidden);

/** Tell whether the row with an id is hidden now. */
export const isHidden = (id: string): boolean => hidden.has(id);

async function settle(id: string, isLeaving = false): Promise<void> {
  const entry = pending.get(id);
  if (!entry) return;
  const { ids, removal, timer, close } = entry;
  pending.delete(id);
  clearTimeout(timer);
  close();
  try {
    await removal.remove(isLeaving);
  } catch (error) {
    hide(ids, false);
    removal.onBack?.();
    notify(error as Error);
  }
}

function hide(ids: readonly string[], isHidden: boolean): void {
  const next = new Set(hidden);
  for (const id of ids) {
    if (isHidden) next.add(id);
    else next.delete(id);
  }
  hidden = next;
  for (const listener of [...listeners]) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

if (typeof window !== "undefined") {
  window.addEventListener("beforeunload", (event) => {
    if ([...pending.values()].some(({ ids }) => ids.length > MAX_ROWS_WHILE_LEAVING)) event.preventDefault();
  });
  window.addEventListener("pagehide", () => {
    for (const id of [...pending.keys()]) void settle(id, true);
  });
}
