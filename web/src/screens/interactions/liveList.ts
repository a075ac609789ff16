// Keeps a visible list up to date with little work for the server: new interactions are inserted and counted here. The
// server counts again only if the number is uncertain, and rarely.

import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { type RefObject, useEffect, useRef, useState } from "react";
import type { Filter } from "~/api/client";
import { useLive } from "~/api/live";
import type { Changes } from "~/api/liveLine";
import { ChangeQueue } from "~/rules/changeQueue";
import { caughtUp, type InteractionPage, type ListChanges, type Pages, recounted, rows, upserted, without } from "~/rules/pages";
import { countQuery, GLANCE, type ListOptions, listQuery, newest } from "./listQueries";

/** The least milliseconds between two counts by the server, and between two looks at missed changes. REST_FACTOR is the
 * least rest after each, as a multiple of its duration. */
const COUNT_PACE = 20_000;
const LOOK_PACE = 2_000;
const REST_FACTOR = 50;
/** Milliseconds that the count waits for the stream. What has arrived between the fetch of a list and the connection of
 * its stream is found among the newest that come with a later count; otherwise they are fetched once more. */
const STREAM_PATIENCE = 1_000;
/** A list restarts with its first page when the page has grown to this many rows. */
const MOST_ARRIVED = 2_000;

type LiveList = {
  project: string;
  filter: Filter | null;
  /** The time at which the list begins; without it, the list begins with the newest. */
  at: string | undefined;
  options: ListOptions;
  isFetching: boolean;
  /** Whether its rows are shown; it is counted only then. */
  isShown: boolean;
  on: boolean;
  isTop: () => boolean;
  /** Called with the ids of interactions that are new in the list. */
  onArrived: (completionIds: string[]) => void;
};

/** Count a list, and keep the list and its number up to date. `connected` tells whether the stream is connected. */
export function useLiveList(live: LiveList): { count: number | undefined; connected: boolean } {
  const { project, filter, at, options, isFetching, isShown, on, isTop, onArrived } = live;
  const queries = useQueryClient();
  const { queryKey: listKey } = listQuery(project, filter, at, options);
  const { queryKey: countKey } = countQuery(project, filter);
  const list = JSON.stringify(listKey);
  /** Whether a fetch of the list or of the newest is running, whose answer would overwrite changes. */
  const isBeingRead = (now: State) => now.isReading || queries.isFetching({ queryKey: listKey, exact: true }) > 0;
  const state = useListState(`${list} ${on}`, isBeingRead);

  function change(next: Pages, changes: ListChanges): void {
    const arrived = writeChange(queries, { listKey, countKey }, next, changes);
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
    for (const id of deleted) state.current.glance?.told.add(id);
    for (const { completion_id } of interactions) {
      state.current.glance?.told.add(completion_id);
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

  /** Insert what arrived between the fetch of the list and the connection of its stream. */
  function glance(pages: Pages, { stoodAt, told }: Glance): void {
    const count = queries.getQueryData(countKey);
    // The newest of a count that began earlier miss what arrived before the stream stood, and all of them are short.
    if (!count || count.at < stoodAt || options.view) return void look({ limit: GLANCE });
    const next = caughtUp(pages, count.newest, told);
    // These few do not reach the listed rows.
    if (next.pages[0] === count.newest) void look();
    else change(next, { interactions: [], deleted: [] });
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

  // biome-ignore lint/correctness/useExhaustiveDependencies: of another list, or once a fetch has ended.
  useEffect(() => state.current.changes.flush(), [list, isFetching]);

  const connected = useLive(project, filter, on, {
    onChanges,
    onStands(again) {
      if (again) {
        // Disconnections are rare, so missed changes are fetched at once.
        state.current.nextLook = 0;
        void look();
      } else state.current.glance = { stoodAt: performance.now(), told: new Set() };
    },
  });
  const mayCount = usePatience(JSON.stringify(countKey), connected || !on) && isShown;
  const { data: count, isFetching: isCounting } = useQuery({ ...countQuery(project, filter), enabled: mayCount });

  // The server's count may be older than changes that arrived meanwhile.
  // biome-ignore lint/correctness/useExhaustiveDependencies: of another list, or once a fetch has ended; what it reads is of then.
  useEffect(() => {
    const pages = queries.getQueryData<Pages>(listKey);
    if (isFetching || isCounting || !pages) return;
    change(pages, { interactions: [], deleted: [] });
    const pending = state.current.glance;
    state.current.glance = null;
    if (pending) glance(pages, pending);
  }, [list, isFetching, isCounting, connected]);

  return { count, connected };
}

/** Return whether what `key` names is ready, or has been waited for long enough. Once true it stays so. */
function usePatience(key: string, isReady: boolean): boolean {
  const [past, setPast] = useState("");
  useEffect(() => {
    if (isReady) return setPast(key);
    const timer = setTimeout(() => setPast(key), STREAM_PATIENCE);
    return () => clearTimeout(timer);
  }, [key, isReady]);
  return isReady || past === key;
}

type CountKey = ReturnType<typeof countQuery>["queryKey"];
type Keys = { listKey: ReturnType<typeof listQuery>["queryKey"]; countKey: CountKey };

/** Store the next pages of a list, and its number after `changes`. Returns the ids of interactions that are new in it. */
function writeChange(queries: QueryClient, { listKey, countKey }: Keys, next: Pages, changes: ListChanges): string[] {
  const pages = queries.getQueryData<Pages>(listKey);
  const before = rows(pages);
  const after = rows(next);
  if (next !== pages) queries.setQueryData<Pages>(listKey, next);
  const count = queries.getQueryData(countKey);
  const now = count && recounted(count, changes, before, after);
  if (now !== count) queries.setQueryData(countKey, now);
  const known = new Set(before.map((row) => row.completion_id));
  return after.flatMap((row) => (known.has(row.completion_id) ? [] : row.completion_id));
}

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

/** A look at the newest that is pending since the stream stands. */
type Glance = {
  stoodAt: number;
  /** The ids of interactions that the stream has told of since. */
  told: Set<string>;
};

type State = {
  /** Changes that arrived during a fetch of the list. */
  changes: ChangeQueue;
  isLooking: boolean;
  /** Whether the fetch of a look is running. */
  isReading: boolean;
  /** Whether another look must follow: after the running look, or after the fetch. */
  isToLook: boolean;
  glance: Glance | null;
  nextLook: number;
  recount: ReturnType<typeof setTimeout> | undefined;
};

/** Return the state of the list that `key` names: another list, or one that is turned on, starts with a new one. */
function useListState(key: string, isBeingRead: (state: State) => boolean): RefObject<State> {
  const [initial] = useState(() => newState(isBeingRead));
  const state = useRef(initial);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `isBeingRead` is of the list that the key names.
  useEffect(() => {
    const now = newState(isBeingRead);
    state.current = now;
    return () => clearTimeout(now.recount);
  }, [key]);
  return state;
}

function newState(isBeingRead: (state: State) => boolean): State {
  const state: State = {
    changes: new ChangeQueue(() => isBeingRead(state)),
    isLooking: false,
    isReading: false,
    isToLook: false,
    glance: null,
    nextLook: 0,
    recount: undefined,
  };
  return state;
}

const pause = (milliseconds: number) =>
  milliseconds > 0 ? new Promise<void>((resolve) => setTimeout(resolve, milliseconds)) : undefined;
