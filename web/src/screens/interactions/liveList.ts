// Keeps a visible list up to date with little work for the server: new interactions are inserted and counted here. The
// server counts again only if the number is uncertain, and rarely.

import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Filter } from "~/api/client";
import { useLive } from "~/api/live";
import type { Changes } from "~/api/liveLine";
import { ChangeQueue } from "~/rules/changeQueue";
import { caughtUp, type InteractionPage, type ListChanges, type Pages, recounted, rows, upserted, without } from "~/rules/pages";
import { countQuery, type ListOptions, listQuery, newest } from "./listQueries";

/** The least milliseconds between two counts by the server, and between two looks at missed changes. REST_FACTOR is the
 * least rest after each, as a multiple of its duration. */
const COUNT_PACE = 20_000;
const LOOK_PACE = 2_000;
const REST_FACTOR = 50;
/** When a list becomes live, this many of the newest are fetched, because some may have arrived since its fetch. */
const GLANCE = 10;
/** A list restarts with its first page when the page has grown to this many rows. */
const MOST_ARRIVED = 2_000;

type LiveList = {
  project: string;
  filter: Filter | null;
  /** The time at which the list begins; without it, the list begins with the newest. */
  at: string | undefined;
  options: ListOptions;
  /** Whether the list, or its number, is being fetched. */
  isFetching: boolean;
  isCounting: boolean;
  on: boolean;
  isTop: () => boolean;
  /** Called with the ids of interactions that are new in the list. */
  onArrived: (completionIds: string[]) => void;
};

/** Keep a list and its number up to date; tell whether the stream is connected. */
export function useLiveList(live: LiveList): boolean {
  const { project, filter, at, options, isFetching, isCounting, on, isTop, onArrived } = live;
  const queries = useQueryClient();
  const { queryKey: listKey } = listQuery(project, filter, at, options);
  const { queryKey: countKey } = countQuery(project, filter);
  const list = JSON.stringify(listKey);
  /** Whether a fetch of the list or of the newest is running, whose answer would overwrite changes. */
  const isBeingRead = (now: State) => now.isReading || queries.isFetching({ queryKey: listKey, exact: true }) > 0;
  const [initial] = useState(() => newState(isBeingRead));
  const state = useRef(initial);

  function change(next: Pages, changes: ListChanges): void {
    const pages = queries.getQueryData<Pages>(listKey);
    const before = rows(pages);
    const after = rows(next);
    if (next !== pages) queries.setQueryData<Pages>(listKey, next);
    const count = queries.getQueryData(countKey);
    const now = count && recounted(count, changes, before, after);
    if (now !== count) queries.setQueryData(countKey, now);
    const known = new Set(before.map((row) => row.completion_id));
    const arrived = after.flatMap((row) => (known.has(row.completion_id) ? [] : row.completion_id));
    if (arrived.length) onArrived(arrived);
    countAgain(queries, countKey, state.current);
  }

  function onChanges({ interactions, deleted, missed }: Changes): void {
    state.current.changes.push(() => {
      const pages = queries.getQueryData<Pages>(listKey);
      if (!pages) return;
      change(deleted.reduce(without, interactions.reduce(upserted, pages)), { interactions, deleted });
      if (isTop() && (pages.pages[0]?.interactions.length ?? 0) > MOST_ARRIVED) void look({ isAnew: true });
    });
    for (const { completion_id } of interactions) {
      void queries.invalidateQueries({ queryKey: ["interaction", completion_id] });
    }
    if (missed) void look();
  }

  /** Fetch the newest, and insert missed interactions. One look at a time, with rests between them. */
  async function look({ limit, isAnew = false }: { limit?: number; isAnew?: boolean } = {}): Promise<void> {
    const now = state.current;
    if (now.isLooking) {
      now.isToLook = true;
      return;
    }
    now.isLooking = true;
    await pause(now.nextLook - performance.now());
    const begun = performance.now();
    now.isReading = true;
    try {
      let first = await newest(project, filter, options, limit);
      const pages = queries.getQueryData<Pages>(listKey);
      // These few do not reach the listed rows: fetch more.
      if (limit && pages && caughtUp(pages, first).pages[0] === first) first = await newest(project, filter, options);
      // Unless another list is shown by now. Changes that arrived meanwhile are newer than this answer.
      if (state.current === now) now.changes.pushFirst(() => catchUp(first, isAnew));
    } catch {
      // The server is away. The look is repeated when the stream is connected again.
    } finally {
      now.isReading = false;
      now.changes.flush();
      now.isLooking = false;
      now.nextLook = begun + Math.max(LOOK_PACE, REST_FACTOR * (performance.now() - begun));
      if (now.isToLook && state.current === now) {
        now.isToLook = false;
        void look();
      }
    }
  }

  /** Insert the newest; with `isAnew`, restart the list with them. */
  function catchUp(first: InteractionPage, isAnew: boolean): void {
    const pages = queries.getQueryData<Pages>(listKey);
    if (!pages) return;
    const next = isAnew ? { pages: [first], pageParams: [null] } : caughtUp(pages, first);
    if (next.pages[0] === first) {
      change(next, { interactions: [], deleted: [] });
      if (!isAnew) queries.setQueryData(countKey, (count) => count && { ...count, isUnsure: true });
      countAgain(queries, countKey, state.current);
    } else {
      const left = new Set(rows(next).map((row) => row.completion_id));
      const deleted = rows(pages).flatMap((row) => (left.has(row.completion_id) ? [] : row.completion_id));
      change(next, { interactions: first.interactions, deleted });
    }
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: a list that is turned on starts with new state.
  useEffect(() => {
    const now = newState(isBeingRead);
    state.current = now;
    return () => clearTimeout(now.recount);
  }, [list, on]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: of another list, or once a fetch has ended.
  useEffect(() => state.current.changes.flush(), [list, isFetching]);

  // The server's count may be older than changes that arrived meanwhile.
  // biome-ignore lint/correctness/useExhaustiveDependencies: of another list, or once a fetch has ended; what it reads is of then.
  useEffect(() => {
    const pages = queries.getQueryData<Pages>(listKey);
    if (isFetching || isCounting || !pages) return;
    change(pages, { interactions: [], deleted: [] });
    if (!state.current.isToGlance) return;
    state.current.isToGlance = false;
    void look({ limit: GLANCE });
  }, [list, isFetching, isCounting]);

  return useLive(project, filter, on, {
    onChanges,
    onStands(again) {
      if (again) {
        // Disconnections are rare, so missed changes are fetched at once.
        state.current.nextLook = 0;
        void look();
      } else if (isFetching || !queries.getQueryData(listKey)) state.current.isToGlance = true;
      else void look({ limit: GLANCE });
    },
  });
}

type CountKey = ReturnType<typeof countQuery>["queryKey"];

/** Let the server count again if the number is uncertain, once enough time has passed. */
function countAgain(queries: QueryClient, countKey: CountKey, state: State): void {
  const count = queries.getQueryData(countKey);
  if (!count?.isUnsure || state.recount !== undefined) return;
  const rest = Math.max(COUNT_PACE, REST_FACTOR * count.took);
  state.recount = setTimeout(
    () => {
      state.recount = undefined;
      void queries.invalidateQueries({ queryKey: countKey, exact: true });
    },
    Math.max(0, count.at + rest - performance.now()),
  );
}

type State = {
  /** Changes that arrived during a fetch of the list. */
  changes: ChangeQueue;
  isLooking: boolean;
  /** Whether the fetch of a look is running. */
  isReading: boolean;
  /** Whether another look must follow: after the running look, or after the fetch. */
  isToLook: boolean;
  isToGlance: boolean;
  nextLook: number;
  recount: ReturnType<typeof setTimeout> | undefined;
};

function newState(isBeingRead: (state: State) => boolean): State {
  const state: State = {
    changes: new ChangeQueue(() => isBeingRead(state)),
    isLooking: false,
    isReading: false,
    isToLook: false,
    isToGlance: false,
    nextLook: 0,
    recount: undefined,
  };
  return state;
}

const pause = (milliseconds: number) =>
  milliseconds > 0 ? new Promise<void>((resolve) => setTimeout(resolve, milliseconds)) : undefined;
