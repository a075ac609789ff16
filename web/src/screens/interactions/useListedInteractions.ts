import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useRef, useState } from "react";
import { type Pages, rows } from "~/rules/pages";
import { useHidden } from "~/ui/removals";
import { chosenColumns, needsWhole } from "./columns";
import { useLiveList } from "./liveList";
import { type ListOptions, listQuery } from "./listQueries";
import type { ListAddress } from "./useListAddress";

export type ListedInteractions = ReturnType<typeof useListedInteractions>;

/** The interactions for the address, page by page, and updated while the list is live. */
export function useListedInteractions(project: string, address: ListAddress, isLive: boolean) {
  const { filter, at, order, group, columnKeys } = address;
  const options: ListOptions = {
    ...(order === "created_at" && { order }),
    ...(needsWhole(columnKeys) && { view: "full" as const }),
  };
  const list = useInfiniteQuery(listQuery(project, filter, at, options));
  const { data, isPlaceholderData, isFetchingNextPage, fetchNextPage, isFetchingPreviousPage, fetchPreviousPage } = list;
  const hidden = useHidden();
  const loaded = useMemo(() => rows(data as Pages | undefined), [data]);
  const interactions = useMemo(() => loaded.filter(({ completion_id }) => !hidden.has(completion_id)), [loaded, hidden]);
  const columns = useMemo(() => chosenColumns(columnKeys, interactions), [columnKeys, interactions]);
  const isTop = useRef(true);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const { count, connected } = useLiveList({
    project,
    filter,
    at,
    options,
    isFetching: list.isFetching,
    isShown: data !== undefined && !isPlaceholderData,
    on: isLive && !group && order === "-created_at",
    isTop: () => isTop.current,
    onArrived: (ids) => !isTop.current && setFresh((before) => new Set([...before, ...ids])),
  });
  const onTop = useCallback((isNow: boolean) => {
    isTop.current = isNow;
    if (isNow) setFresh((before) => (before.size ? new Set() : before));
  }, []);
  const onMore = useCallback(() => void (!isFetchingNextPage && fetchNextPage()), [isFetchingNextPage, fetchNextPage]);
  const onBefore = useCallback(
    () => void (!isFetchingPreviousPage && fetchPreviousPage()),
    [isFetchingPreviousPage, fetchPreviousPage],
  );
  return {
    list,
    loaded,
    interactions,
    columns,
    /** The number of matches without hidden rows; undefined until the server has counted. */
    count: count === undefined ? undefined : count - (loaded.length - interactions.length),
    connected,
    /** The number of new rows above the visible ones. */
    freshCount: fresh.size,
    onTop,
    onMore,
    onBefore,
  };
}
