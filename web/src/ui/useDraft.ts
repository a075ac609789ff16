// Texts that were typed and not sent. Each belongs to a topic, such as an interaction, and survives a change of the row
// or the screen, and a reload of the tab.

import { useCallback, useSyncExternalStore } from "react";

const KEPT = "afterword.drafts";
/** Upper bound on the drafts; the oldest are deleted. */
const MOST_DRAFTS = 200;

const drafts = new Map<string, string>(typeof sessionStorage === "undefined" ? [] : readKept());
const listeners = new Set<() => void>();

/** Return the draft of a topic, null if nothing was typed, and a function that changes it; null deletes it. */
export function useDraft(about: string): [string | null, (text: string | null) => void] {
  const draft = useSyncExternalStore(subscribe, () => drafts.get(about) ?? null);
  const setDraft = useCallback((text: string | null) => keepDraft(about, text), [about]);
  return [draft, setDraft];
}

/** Return the draft of a topic; null if nothing was typed. */
export const findDraft = (about: string): string | null => drafts.get(about) ?? null;

/** Set the draft of a topic; null deletes it. */
export function keepDraft(about: string, text: string | null): void {
  if (!drafts.delete(about) && text === null) return;
  if (text !== null) drafts.set(about, text);
  for (const oldest of [...drafts.keys()].slice(0, Math.max(0, drafts.size - MOST_DRAFTS))) drafts.delete(oldest);
  changed();
}

/** Delete all drafts, because another person may sign in. */
export function forgetDrafts(): void {
  drafts.clear();
  changed();
}

function changed(): void {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify([...drafts]));
  } catch {
    // The storage of the browser is full: the drafts live until the page is left.
  }
  for (const listener of [...listeners]) listener();
}

function readKept(): [string, string][] {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  } catch {
    return [];
  }
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
