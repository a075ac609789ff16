// The queries for the list of interactions and their number.

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { answer, api, type Filter, type Schemas } from "~/api/client";
import type { Count, InteractionPage, Pages } from "~/rules/pages";

/** Rows of the first page: a little more than are visible at once. Later pages are fetched before they are visible. */
const FIRST = 80;
const PAGE = 100;
/** When a list becomes live, this many of the newest are fetched, because some may have arrived since its fetch. */
export const GLANCE = 10;

export type ListOptions = { order?: Schemas["Search"]["order"]; view?: Schemas["Search"]["view"] };

/** The pages of the interactions that match a filter, newest first: from the newest on, or from a time on in both
 * directions. */
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
      // A first page has no cursor for newer rows, but the page after its first row has one.
      const until = (to: string) => page({ and: [filter ?? { and: [] }, { timerange: { to } }] }, 1, null);
      const first = await until(at);
      if (first.next) {
        const older = await page(filter, FIRST, first.next);
        return { ...older, interactions: [...first.interactions, ...older.interactions] };
      }
      if (!first.interactions.length) return page(filter, FIRST, null);
      // It is the oldest row: start from the row before it.
      const newer = (await answer(
        api.POST("/api/v1/interactions/search", {
          body: { project, filter: { and: [filter ?? { and: [] }, { timerange: { from: at } }] }, limit: 1, order: "created_at" },
          signal,
        }),
      )) as InteractionPage;
      const [above] = newer.interactions;
      if (!above) return first;
      const begin = await until(new Date(Date.parse(above.created_at) + 1).toISOString());
      return page(filter, FIRST, begin.next);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    getPreviousPageParam: (page) => page.previous,
    // Rows of the previous filter stay until the new ones arrive, but never those of another project.
    placeholderData: (before: Pages | undefined, query?: { queryKey: readonly unknown[] }) =>
      query?.queryKey[1] === project ? before : undefined,
    staleTime: 30_000,
  });

/** The newest interactions, to find what a list has missed. */
export const newest = async (project: string, filter: Filter | null, options: ListOptions, limit: number = FIRST) =>
  (await answer(
    api.POST("/api/v1/interactions/search", { body: { project, filter, limit, ...options } }),
  )) as InteractionPage;

/** The number of interactions, in a separate call because it may take longer than a page. A few of the newest come with
 * it, to find what a list has missed. */
export const countQuery = (project: string, filter: Filter | null) =>
  queryOptions({
    queryKey: ["interactions-count", project, filter],
    enabled: filter !== null,
    queryFn: async ({ signal }): Promise<Count> => {
      const at = performance.now();
      const page = (await answer(
        api.POST("/api/v1/interactions/search", { body: { project, filter, limit: GLANCE, count: true }, signal }),
      )) as InteractionPage;
      return {
        count: page.count ?? 0,
        newest: page,
        since: new Set(),
        isUnsure: false,
        at,
        took: performance.now() - at,
      };
    },
    select: ({ count }) => count,
  });
