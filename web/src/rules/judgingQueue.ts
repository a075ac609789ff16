// A judging session: its pairs, the verdict on each, and the current position. People call it a sitting.

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
  /** Whether it was skipped, or another sitting has it now. */
  isSkipped?: boolean;
};
export type JudgingSession = {
  entries: Entry[];
  at: number;
  /** The cursor of the server; null at the beginning. */
  cursor: string | null;
  /** Whether the server has no further pair. */
  isExhausted: boolean;
  /** Whether the server left out pairs that another sitting has. */
  wereHeld: boolean;
  /** Whether it has ended. Then the models are shown, and verdicts cannot be changed. */
  isEnded: boolean;
};
export type PairIds = { left: string; right: string };

export const NEW_SESSION: JudgingSession = {
  entries: [],
  at: 0,
  cursor: null,
  isExhausted: false,
  wereHeld: false,
  isEnded: false,
};

/** When only LOW pairs are left, they are fetched up to ENOUGH, to avoid a call for each verdict. */
const LOW = 2;
const ENOUGH = 6;
/** The most pairs that the server lets a sitting keep. */
const MOST_KEPT = 20;

const keyOf = ({ left, right }: PairIds): string => [left, right].sort().join();

/** Return the pairs that still need a verdict here, so that the server keeps them reserved. */
export function keptPairs({ entries, at }: JudgingSession): PairIds[] {
  const open = entries.filter(({ judged, isSkipped }, index) => (judged ? !judged.isSent : !isSkipped || index === at));
  return open.slice(-MOST_KEPT).map(({ left, right }) => ({ left, right }));
}

/** Return how many pairs to fetch now. */
export function missingPairs({ entries, at, isExhausted, isEnded }: JudgingSession): number {
  if (isExhausted || isEnded) return 0;
  const open = entries.slice(at).filter(({ judged, isSkipped }) => !judged && !isSkipped).length;
  return open > LOW ? 0 : ENOUGH - open;
}

type Page = { pairs: PairIds[]; lost: PairIds[]; next: string | null; held: number };

/** Add the pairs of a page, each once, and skip those that another sitting has by now. */
export function withPage(session: JudgingSession, { pairs, lost, next, held }: Page): JudgingSession {
  const gone = new Set(lost.map(keyOf));
  const known = new Set(session.entries.map(keyOf));
  const entries = session.entries.map((entry) => (gone.has(keyOf(entry)) && !entry.judged ? { ...entry, isSkipped: true } : entry));
  const added = pairs.filter((pair) => !known.has(keyOf(pair))).map(({ left, right }) => ({ left, right }));
  const at = entries[session.at]?.isSkipped && !session.entries[session.at]?.isSkipped ? nextOpen(entries, session.at) : session.at;
  return {
    ...session,
    entries: [...entries, ...added],
    at,
    cursor: next,
    isExhausted: next === null,
    wereHeld: session.wereHeld || held > 0,
  };
}

/** Return the position of the next pair without a verdict. */
export function nextOpen(entries: readonly Entry[], at: number): number {
  const next = entries.findIndex(({ judged, isSkipped }, index) => index > at && !judged && !isSkipped);
  return next < 0 ? entries.length : next;
}

/** Change the entry at a position. */
export function withEntry(session: JudgingSession, at: number, change: Partial<Entry>): JudgingSession {
  return { ...session, entries: session.entries.map((entry, index) => (index === at ? { ...entry, ...change } : entry)) };
}

/** Remove the verdict at a position, which then counts as skipped. */
export function withoutVerdict(session: JudgingSession, at: number): JudgingSession {
  const entries = session.entries.map(({ judged, ...entry }, index) =>
    index === at ? { ...entry, isSkipped: true } : judged ? { ...entry, judged } : entry,
  );
  return { ...session, entries };
}
