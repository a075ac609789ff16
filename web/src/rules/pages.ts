// The pages of a list, and how changes update them while they are shown.

import type { Interaction, Schemas } from "~/api/client";

export type InteractionPage = Schemas["InteractionPage"];
export type Pages = { pages: InteractionPage[]; pageParams: (string | null)[] };
/** New or changed interactions, and the ids of deleted ones. */
export type ListChanges = { interactions: Interaction[]; deleted: string[] };

/** The number of interactions: counted by the server once, and updated here with each change. */
export type Count = {
  count: number;
  /** The newest interactions when the server counted: newer ones were not counted. */
  newest: InteractionPage;
  /** The ids that were counted here since. */
  since: ReadonlySet<string>;
  /** Whether a change may have altered the number in an unknown way. */
  isUnsure: boolean;
  /** When the server counted, and how long that took, in milliseconds. */
  at: number;
  took: number;
};

/** Return the count, updated with a change since the server counted. `before` and `after` are the rows of the list.
 *
 * Rows newer than `newest` were not counted yet. For an older row that is not in the list, the effect is unknown: its
 * labels may have changed so that it matches only now, or it matched before. */
export function recounted(
  count: Count,
  { interactions, deleted }: ListChanges,
  before: readonly Interaction[],
  after: readonly Interaction[],
): Count {
  const [newest] = count.newest.interactions;
  const isNewer = (row: Interaction) => !newest || isBefore(row, newest);
  const listed = new Map(before.map((row) => [row.completion_id, row]));
  const since = new Set(count.since);
  let { count: number, isUnsure } = count;
  const end = after.findIndex((row) => !isNewer(row));
  for (const row of [...interactions, ...after.slice(0, end < 0 ? after.length : end)]) {
    const id = row.completion_id;
    if (since.has(id) || id === newest?.completion_id) continue;
    if (isNewer(row)) {
      since.add(id);
      number += 1;
    } else if (!listed.has(id)) isUnsure = true;
  }
  for (const id of deleted) {
    const row = listed.get(id);
    if (since.delete(id)) number -= 1;
    else if (!row) isUnsure = true;
    else if (!isNewer(row)) number -= 1;
  }
  if (number === count.count && isUnsure === count.isUnsure) return count;
  return { ...count, count: Math.max(0, number), since, isUnsure };
}

/** Return all rows of the pages, each once: the page before a list that begins at a time repeats its first row. */
export function rows(pages: Pages | undefined): Interaction[] {
  const all = pages ? pages.pages.flatMap((page) => page.interactions) : [];
  return [...new Map(all.map((row) => [row.completion_id, row])).values()];
}

/** Return pages with the current version of an interaction: replaced if it is listed, else inserted by its time.
 * An interaction older than the last row belongs to a page that is not loaded yet, and is left out. */
export function upserted(pages: Pages, changed: Interaction): Pages {
  if (rows(pages).some((row) => row.completion_id === changed.completion_id)) {
    return replaced(pages, (row) => (row.completion_id === changed.completion_id ? changed : row));
  }
  const top = pages.pages[0];
  const newest = top?.interactions[0];
  // There may be further rows between the loaded ones and the newest.
  if (top?.previous && newest && isBefore(changed, newest)) return pages;
  let left: Interaction | null = changed;
  const last = pages.pages.length - 1;
  const placed = pages.pages.map((page, index) => {
    if (!left) return page;
    const one: Interaction = left;
    const before = page.interactions.findIndex((row) => isBefore(one, row));
    if (before < 0 && (index < last || page.next)) return page;
    left = null;
    const at = before < 0 ? page.interactions.length : before;
    return { ...page, interactions: page.interactions.toSpliced(at, 0, one) };
  });
  return left ? pages : { ...pages, pages: placed };
}

/** Return pages updated with the current newest interactions. A listed row in their time range that is not among them
 * was deleted. If none of them is listed, more have arrived than these, and the list begins again with them.
 * Interactions in `told` stay as listed: the list has learned of them since the server looked for the newest. */
export function caughtUp(pages: Pages, now: InteractionPage, told: ReadonlySet<string> = new Set()): Pages {
  // A list that begins at a time does not show the newest.
  if (pages.pages[0]?.previous) return pages;
  const listed = rows(pages);
  const [first] = now.interactions;
  const last = now.interactions.at(-1);
  const ids = new Set(now.interactions.map((row) => row.completion_id));
  if (now.next && !listed.some((row) => ids.has(row.completion_id))) return { pages: [now], pageParams: [null] };
  const isGone = (row: Interaction) =>
    !ids.has(row.completion_id) && !told.has(row.completion_id) && !(first && isBefore(row, first)) && !(now.next && last && isBefore(last, row));
  const kept = listed.filter(isGone).reduce((before, row) => without(before, row.completion_id), pages);
  return now.interactions.filter((row) => !told.has(row.completion_id)).reduceRight(upserted, kept);
}

/** Return pages without an interaction. */
export function without(pages: Pages, completionId: string): Pages {
  return {
    ...pages,
    pages: pages.pages.map((page) => ({
      ...page,
      interactions: page.interactions.filter((row) => row.completion_id !== completionId),
    })),
  };
}

function replaced(pages: Pages, change: (row: Interaction) => Interaction): Pages {
  return {
    ...pages,
    pages: pages.pages.map((page) => ({ ...page, interactions: page.interactions.map(change) })),
  };
}

function isBefore(one: Interaction, other: Interaction): boolean {
  if (one.created_at !== other.created_at) return one.created_at > other.created_at;
  return one.completion_id > other.completion_id;
}
