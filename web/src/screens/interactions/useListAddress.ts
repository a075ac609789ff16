import { useLocation, useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useRef } from "react";
import type { Interaction } from "~/api/client";
import { readFilter } from "~/rules/language";
import type { Order } from "./Head";
import { keptColumns } from "./kept";

export type ListAddress = ReturnType<typeof useListAddress>;

/** The state of the list in the address: the query, the view, and the open interaction. */
export function useListAddress(project: string) {
  const search = useSearch({ from: "/inside/p/$project/interactions" });
  const navigate = useNavigate({ from: "/p/$project/interactions" });
  const { pathname } = useLocation();
  const q = search.q ?? "";
  const filter = useMemo(() => readFilter(q), [q]);
  const order: Order = search.order === "created_at" ? "created_at" : "-created_at";
  const change = useCallback(
    (next: Record<string, string | undefined>, replace = false) =>
      navigate({ search: (before) => ({ ...before, ...next }), replace }),
    [navigate],
  );
  const latest = useRef(search);
  latest.current = search;
  /** The address of a row, for another tab. */
  const href = useCallback(
    (interaction: Interaction) => {
      const { q: query, columns, order: by } = latest.current;
      const parameters = Object.entries({ q: query, columns, order: by, open: interaction.completion_id });
      return `${pathname}?${new URLSearchParams(parameters.filter((pair): pair is [string, string] => Boolean(pair[1])))}`;
    },
    [pathname],
  );
  return {
    q,
    filter,
    order,
    group: search.group,
    open: search.open ?? null,
    at: search.at,
    chart: search.chart,
    columnKeys: search.columns ?? keptColumns(project),
    change,
    href,
  };
}
