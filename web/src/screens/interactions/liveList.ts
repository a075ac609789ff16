// A list that is kept up to date while one looks at it, with as little work for the server as can be: what arrives is put
// in its place and counted here. The server counts again only where that is not sure, and seldom.

import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Filter } from "~/api/client";
import { useLive } from "~/api/live";
import type { Changes } from "~/api/liveLine";
import { ChangeQueue } from "~/rules/changeQueue";
import { caughtUp, type InteractionPage, type ListChanges, type Pages, recounted, rows, upserted, without } from "~/rules/pages";
import { countQuery, type ListOptions, listQuery, newest } from "./listQueries";

/** The least time between two counts of the server, and between two looks at what was missed; and how many times as long
 * as the last one took. In milliseconds. */
const COUNT_PACE = 20_000;
const LOOK_PACE = 2_000;
const REST_FACTOR = 50;
/** So many of the newest are looked at when a list begins to be live: what came between its fetch and that moment. */
const GLANCE = 10;
/** A list in which so many have arrived begins again with its first page. */
const MOST_ARRIVED = 2_000;

type LiveList = {
  project: string;
  filter: Filter | null;
  /** The time at which the list begins; without it, it begins with the newest. */
  at: string | undefined;
  options: ListOptions;
  /** Whether the list, or its number, is being fetched. */
  isFetching: boolean;
  isCounting: boolean;
  on: boolean;
  isTop: () => boolean;
  /** These stand in the list now, and did not before. */
  onArrived: (completionIds: string[]) => void;
};

/** Keep a list and its number up to date; tell whether the line to the server stands. */
export function useLiveList(live: LiveList): boolean {
  const { project, filter, at, options, isFetching, isCounting, on, isTop, onArrived } = live;
  const queries = useQueryClient();
  const { queryKey: listKey } = listQuery(project, filter, at, options);
  const { queryKey: countKey } = countQuery(project, filter);
  const list = JSON.stringify(listKey);
  /** Whether an answer is under way that would undo what is changed meanwhile: of the list, or of a look at the newest. */
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

  /** Look at the newest, and put in its place what was missed. One look at a time, with rests between. */
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
      // So few do not reach to what is listed.
      if (limit && pages && caughtUp(pages, first).pages[0] === first) first = await newest(project, filter, options);
      // Unless another list is looked at by now. What arrived meanwhile is newer than this answer.
      if (state.current === now) now.changes.pushFirst(() => catchUp(first, isAnew));
    } catch {
      // The line falls with the server. Once it stands again, this is looked at again.
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

  /** Put the newest in their places; with `isAnew`, have the list begin again with them. */
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

  // biome-ignore lint/correctness/useExhaustiveDependencies: a list that is turned on begins anew.
  useEffect(() => {
    const now = newState(isBeingRead);
    state.current = now;
    return () => clearTimeout(now.recount);
  }, [list, on]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: of another list, or once a fetch has ended.
  useEffect(() => state.current.changes.flush(), [list, isFetching]);

  // The number that the server has counted may be of before what came meanwhile.
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
        // The line falls seldom: what was missed is not waited for.
        state.current.nextLook = 0;
        void look();
      } else if (isFetching || !queries.getQueryData(listKey)) state.current.isToGlance = true;
      else void look({ limit: GLANCE });
    },
  });
}

type CountKey = ReturnType<typeof countQuery>["queryKey"];

/** Have the server count where the number is not sure, once enough time has passed. */
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
  /** What has come while the list was being fetched. */
  changes: ChangeQueue;
  isLooking: boolean;
  /** Whether the answer of a look is under way. */
  isReading: boolean;
  /** Whether there is to be another look, after the one that is under way, or after the fetch. */
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
