// The pages of a list, and how they change while one looks at them.

import { type InfiniteData, infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { answer, api, type Filter, type Interaction, type Schemas } from "~/api/client";

export type InteractionPage = Schemas["InteractionPage"];
export type Pages = InfiniteData<InteractionPage, string | null>;

/** The first page is what is seen at once, and a bit more; later ones are fetched before they are seen. */
const FIRST = 80;
const PAGE = 100;

export type ListOptions = { order?: Schemas["Search"]["order"]; view?: Schemas["Search"]["view"] };

/** The interactions of a project that a filter finds, newest first, page after page: from the newest on, or from a
 * time on in both directions. */
export const listQuery = (project: string, filter: Filter | null, at?: string, options: ListOptions = {}) =>
  infiniteQueryOptions({
    queryKey: ["interactions", project, filter, ...(at ? [at] : []), ...(options.order || options.view ? [options] : [])],
    enabled: filter !== null,
    queryFn: async ({ pageParam, signal }) => {
      const page = async (filter: Filter | null, limit: number, cursor: string | null) =>
        (await answer(
          api.POST("/api/v1/interactions/search", { body: { project, filter, limit, cursor, ...options }, signal }),
        )) as InteractionPage;
      if (!at || pageParam) return page(filter, pageParam ? PAGE : FIRST, pageParam);
      // A page that no cursor led to has none that leads back: the first row's leads to what is before and after it.
      const first = await page({ and: [filter ?? { and: [] }, { timerange: { to: at } }] }, 1, null);
      return page(filter, FIRST, first.next);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    getPreviousPageParam: (page) => page.previous,
    staleTime: 30_000,
  });

/** How many there are, asked for on its own: it may take longer than a page. */
export const countQuery = (project: string, filter: Filter | null) =>
  queryOptions({
    queryKey: ["interactions-count", project, filter],
    enabled: filter !== null,
    queryFn: async ({ signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", { body: { project, filter, limit: 1, count: true }, signal }),
      )) as InteractionPage,
    select: (page) => page.count ?? 0,
  });

/** Return all rows of the pages. */
export function rows(pages: Pages | undefined): Interaction[] {
  return pages ? pages.pages.flatMap((page) => page.interactions) : [];
}

/** Return pages with an interaction as it is now: in its place where it was, at the top where it is the newest.
 * What is older than the last row belongs to a page that was not loaded yet. */
export function upserted(pages: Pages, changed: Interaction): Pages {
  if (rows(pages).some((row) => row.completion_id === changed.completion_id)) {
    return replaced(pages, (row) => (row.completion_id === changed.completion_id ? changed : row));
  }
  const top = pages.pages[0];
  const newest = top?.interactions[0];
  // Between what is loaded and what is newest there may be more.
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
