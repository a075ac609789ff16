// What is known of a sitting: the pairs that came, what was said of each, and where one is. It outlives a reload.

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
  /** It was passed over; or someone else has it now. */
  isSkipped?: boolean;
};
export type Sitting = {
  entries: Entry[];
  at: number;
  /** Where the server goes on; null at the beginning. */
  cursor: string | null;
  /** Whether the server has no other pair. */
  isExhausted: boolean;
  /** Whether some pairs were with someone else when they were looked for. */
  wereHeld: boolean;
  /** Whether it was ended: models are shown from then on, and nothing is changed. */
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

/** With so few pairs left, more are fetched: until so many are there. One at a time would be a call for each verdict. */
const LOW = 2;
const ENOUGH = 6;
/** The most that a sitting can keep from others. */
const MOST_KEPT = 20;

const keyOf = ({ left, right }: PairIds): string => [left, right].sort().join();

/** Return the pairs that are still to be judged here, for the server to give to nobody else. */
export function keptPairs({ entries, at }: Sitting): PairIds[] {
  const open = entries.filter(({ judged, isSkipped }, index) => (judged ? !judged.isSent : !isSkipped || index === at));
  return open.slice(-MOST_KEPT).map(({ left, right }) => ({ left, right }));
}

/** Return how many more pairs are to be fetched now. */
export function missingPairs({ entries, at, isExhausted, isEnded }: Sitting): number {
  if (isExhausted || isEnded) return 0;
  const open = entries.slice(at).filter(({ judged, isSkipped }) => !judged && !isSkipped).length;
  return open > LOW ? 0 : ENOUGH - open;
}

type Page = { pairs: PairIds[]; lost: PairIds[]; next: string | null; held: number };

/** Add the pairs of an answer, each once, and pass over those that someone else has meanwhile. */
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

/** Return the place of the next pair that is to be judged. */
export function nextOpen(entries: readonly Entry[], at: number): number {
  const next = entries.findIndex(({ judged, isSkipped }, index) => index > at && !judged && !isSkipped);
  return next < 0 ? entries.length : next;
}

/** Return the place of the pair before: one that was judged or skipped can be judged again. */
export const before = (at: number): number => Math.max(0, at - 1);

/** Change the entry at a place. */
export function withEntry(sitting: Sitting, at: number, change: Partial<Entry>): Sitting {
  return { ...sitting, entries: sitting.entries.map((entry, index) => (index === at ? { ...entry, ...change } : entry)) };
}

/** Take away what was said of a pair, which counts as passed over. */
export function withoutVerdict(sitting: Sitting, at: number): Sitting {
  const entries = sitting.entries.map(({ judged, ...entry }, index) =>
    index === at ? { ...entry, isSkipped: true } : judged ? { ...entry, judged } : entry,
  );
  return { ...sitting, entries };
}

const KEPT = "afterword.sitting.";
const MOST_SITTINGS = 5;

/** Return a sitting as it was left; a new one where there is none. */
export function findSitting(id: string): Sitting {
  try {
    const text = sessionStorage.getItem(KEPT + id);
    return text ? { ...NEW_SITTING, ...JSON.parse(text).sitting } : NEW_SITTING;
  } catch {
    return NEW_SITTING;
  }
}

/** Keep a sitting, with the address under which it goes on; the oldest are forgotten. */
export function keepSitting(id: string, search: Record<string, string | undefined>, project: string, sitting: Sitting): void {
  try {
    sessionStorage.setItem(KEPT + id, JSON.stringify({ search, project, sitting, kept: Date.now() }));
    const all = keptSittings();
    for (const { id } of all.slice(MOST_SITTINGS)) sessionStorage.removeItem(KEPT + id);
  } catch {
    // The browser has no room: the sitting then ends with the page.
  }
}

type Kept = { id: string; search: Record<string, string>; project: string; sitting: Sitting; kept: number };

/** Return the sittings that were kept, the newest first. */
export function keptSittings(): Kept[] {
  const keys = Array.from({ length: sessionStorage.length }, (_, index) => sessionStorage.key(index) ?? "");
  return keys
    .filter((key) => key.startsWith(KEPT))
    .map((key) => ({ ...JSON.parse(sessionStorage.getItem(key) ?? "{}"), id: key.slice(KEPT.length) }) as Kept)
    .sort((one, other) => other.kept - one.kept);
}
