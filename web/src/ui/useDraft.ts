// Texts that were typed and not sent: each stays with what it is about, over other rows, screens and a reload.

import { useCallback, useSyncExternalStore } from "react";

const KEPT = "afterword.drafts";
/** The oldest are forgotten beyond it. */
const MOST_DRAFTS = 200;

const drafts = new Map<string, string>(typeof sessionStorage === "undefined" ? [] : readKept());
const listeners = new Set<() => void>();

/** Return the draft about something, null where nothing was typed, and how to change it; null forgets it. */
export function useDraft(about: string): [string | null, (text: string | null) => void] {
  const draft = useSyncExternalStore(subscribe, () => drafts.get(about) ?? null);
  const setDraft = useCallback((text: string | null) => keepDraft(about, text), [about]);
  return [draft, setDraft];
}

/** Return the draft about something; null where nothing was typed. */
export const findDraft = (about: string): string | null => drafts.get(about) ?? null;

/** Keep a draft; null forgets it. */
export function keepDraft(about: string, text: string | null): void {
  if (!drafts.delete(about) && text === null) return;
  if (text !== null) drafts.set(about, text);
  for (const oldest of [...drafts.keys()].slice(0, Math.max(0, drafts.size - MOST_DRAFTS))) drafts.delete(oldest);
  changed();
}

/** Forget all drafts: someone else may sign in. */
export function forgetDrafts(): void {
  drafts.clear();
  changed();
}

function changed(): void {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify([...drafts]));
  } catch {
    // The browser has no more room: they stay until the page is left.
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
