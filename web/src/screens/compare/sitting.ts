// The state of a sitting: its pairs, the verdict on each, and the current position. It survives a reload of the tab.

import type { Choice } from "./verdicts";

export type Judged = {
  choice: Choice;
  details: string;
  comparison_id: string;
  /** Whether the server has confirmed it. */
  isSent: boolean;
};
export type Entry = {
  left: string;
  right: string;
  judged?: Judged;
  /** Whether it was skipped, or is with someone else now. */
  isSkipped?: boolean;
};
export type Sitting = {
  entries: Entry[];
  at: number;
  /** The cursor of the server; null at the beginning. */
  cursor: string | null;
  /** Whether the server has no further pair. */
  isExhausted: boolean;
  /** Whether the server left out pairs that another sitting has. */
  wereHeld: boolean;
  /** Whether it was ended. From then on the models are shown, and no verdict can be changed. */
  isEnded: boolean;
};
export type PairIds = { left: string; right: string };

export const NEW_SITTING: Sitting = {
  entries: [],
  at: 0,
  cursor: null,
  isExhausted: false,
  wereHeld: false,
  isEnded: false,
};

/** Pairs are fetched when LOW are left, until there are ENOUGH: fetching them singly would be a call for each verdict. */
const LOW = 2;
const ENOUGH = 6;
/** The most pairs that the server lets a sitting keep. */
const MOST_KEPT = 20;

const keyOf = ({ left, right }: PairIds): string => [left, right].sort().join();

/** Return the pairs that still need a verdict here, so that the server gives them to nobody else. */
export function keptPairs({ entries, at }: Sitting): PairIds[] {
  const open = entries.filter(({ judged, isSkipped }, index) => (judged ? !judged.isSent : !isSkipped || index === at));
  return open.slice(-MOST_KEPT).map(({ left, right }) => ({ left, right }));
}

/** Return how many pairs to fetch now. */
export function missingPairs({ entries, at, isExhausted, isEnded }: Sitting): number {
  if (isExhausted || isEnded) return 0;
  const open = entries.slice(at).filter(({ judged, isSkipped }) => !judged && !isSkipped).length;
  return open > LOW ? 0 : ENOUGH - open;
}

type Page = { pairs: PairIds[]; lost: PairIds[]; next: string | null; held: number };

/** Add the pairs of a page, each once, and skip those that someone else has meanwhile. */
export function withPage(sitting: Sitting, { pairs, lost, next, held }: Page): Sitting {
  const gone = new Set(lost.map(keyOf));
  const known = new Set(sitting.entries.map(keyOf));
  const entries = sitting.entries.map((entry) => (gone.has(keyOf(entry)) && !entry.judged ? { ...entry, isSkipped: true } : entry));
  const added = pairs.filter((pair) => !known.has(keyOf(pair))).map(({ left, right }) => ({ left, right }));
  const at = entries[sitting.at]?.isSkipped && !sitting.entries[sitting.at]?.isSkipped ? nextOpen(entries, sitting.at) : sitting.at;
  return {
    ...sitting,
    entries: [...entries, ...added],
    at,
    cursor: next,
    isExhausted: next === null,
    wereHeld: sitting.wereHeld || held > 0,
  };
}

/** Return the position of the next pair without a verdict. */
export function nextOpen(entries: readonly Entry[], at: number): number {
  const next = entries.findIndex(({ judged, isSkipped }, index) => index > at && !judged && !isSkipped);
  return next < 0 ? entries.length : next;
}

/** Change the entry at a position. */
export function withEntry(sitting: Sitting, at: number, change: Partial<Entry>): Sitting {
  return { ...sitting, entries: sitting.entries.map((entry, index) => (index === at ? { ...entry, ...change } : entry)) };
}

/** Remove the verdict at a position, which then counts as skipped. */
export function withoutVerdict(sitting: Sitting, at: number): Sitting {
  const entries = sitting.entries.map(({ judged, ...entry }, index) =>
    index === at ? { ...entry, isSkipped: true } : judged ? { ...entry, judged } : entry,
  );
  return { ...sitting, entries };
}

const KEPT = "afterword.sitting.";
const MOST_SITTINGS = 5;

/** Return the stored state of a sitting; a new one where none is stored. */
export function findSitting(id: string): Sitting {
  try {
    const text = sessionStorage.getItem(KEPT + id);
    return text ? { ...NEW_SITTING, ...JSON.parse(text).sitting } : NEW_SITTING;
  } catch {
    return NEW_SITTING;
  }
}

/** Store the state of a sitting, with the search parameters that open it again. The oldest sittings are deleted. */
export function keepSitting(id: string, search: Record<string, string | undefined>, project: string, sitting: Sitting): void {
  try {
    sessionStorage.setItem(KEPT + id, JSON.stringify({ search, project, sitting, kept: Date.now() }));
    const all = keptSittings();
    for (const { id } of all.slice(MOST_SITTINGS)) sessionStorage.removeItem(KEPT + id);
  } catch {
    // The storage of the browser is full: the sitting then ends with the page.
  }
}

type Kept = { id: string; search: Record<string, string>; project: string; sitting: Sitting; kept: number };

/** Return the stored sittings, the newest first. */
export function keptSittings(): Kept[] {
  const keys = Array.from({ length: sessionStorage.length }, (_, index) => sessionStorage.key(index) ?? "");
  return keys
    .filter((key) => key.startsWith(KEPT))
    .map((key) => ({ ...JSON.parse(sessionStorage.getItem(key) ?? "{}"), id: key.slice(KEPT.length) }) as Kept)
    .sort((one, other) => other.kept - one.kept);
}
