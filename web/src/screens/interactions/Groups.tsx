import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useState } from "react";
import { answer, api, type Filter, type Metric, type Schemas } from "~/api/client";
import { GROUPINGS } from "~/api/generated/fields";
import { quoted, withPart } from "~/rules/language";
import { Button, css as ui, cx, Empty, ErrorNote, Loading } from "~/ui";
import { count, duration, measured, percent } from "~/ui/values";
import css from "./groups.module.css";

type GroupPage = Schemas["GroupPage"];
type Group = Schemas["Group"];

type GroupsProps = { project: string; filter: Filter | null; group: string; q: string; metrics: Metric[] };
type Sorting = { by: string; descending: boolean };

const PAGE = 100;
const MILLISECONDS = new Set(["latency", "ttft", "provider_time"]);

/** Groups of interactions, with their number and the mean of each metric. */
export function Groups({ project, filter, group, q, metrics }: GroupsProps) {
  const [sorting, setSorting] = useState<Sorting>({ by: "count", descending: true });
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery({
    queryKey: ["groups", project, filter, group],
    enabled: filter !== null,
    queryFn: async ({ pageParam, signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", {
          body: { project, filter, group_by: group, limit: PAGE, cursor: pageParam, count: pageParam === null },
          signal,
        }),
      )) as GroupPage,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });
  if (error && !data) return <ErrorNote error={error} onRetry={() => refetch()} />;
  if (isPending || !data) return <Loading lines={10} />;
  const groups = data.pages.flatMap((page) => page.groups);
  if (!groups.length) return <Empty title="Nothing to group" />;
  const total = data.pages[0]?.count ?? groups.length;
  const measuredKeys = new Set(groups.flatMap((one) => one.metrics.map(({ metric }) => metric)));
  const shown = metrics.filter(({ key }) => measuredKeys.has(key));
  const rows = sorted(groups, sorting);
  const most = Math.max(...groups.map((one) => one.count));
  const all = groups.reduce((sum, one) => sum + one.count, 0);
  const what = group.startsWith("label:") ? group.slice(6) : `${group[0]?.toUpperCase()}${group.slice(1)}`;
  const head = (by: string, name: ReactNode, isNumber: boolean) => (
    <SortableHead key={by} by={by} isNumber={isNumber} sorting={sorting} onSort={setSorting}>
      {name}
    </SortableHead>
  );
  return (
    <div className={css.groups}>
      <p className={css.about} role="status">
        {hasNextPage
          ? `${count(groups.length)} of ${count(total)} groups are loaded, and sorted among themselves.`
          : `${count(groups.length)} ${groups.length === 1 ? "group" : "groups"}, ${count(all)} interactions`}
      </p>
      <table className={cx(ui.table, css.table)}>
        <thead>
          <tr>
            {head("key", what, false)}
            {head("count", "Interactions", true)}
            {shown.map((metric) => head(metric.key, metric.name, true))}
          </tr>
        </thead>
        <tbody>
          {rows.map((one) => (
            <tr key={one.key ?? ""}>
              <td className={css.key}>
                <Link
                  to="/p/$project/interactions"
                  params={{ project }}
                  search={{ q: narrowed(q, group, one.session ?? one.key) }}
                  title={one.prompt ?? one.session ?? one.key ?? undefined}
                >
                  {one.prompt ?? one.session ?? (one.key || (one.key === null ? <i>none</i> : <i>(empty)</i>))}
                </Link>
              </td>
              <td className={cx(ui.number, css.count)} title={`${percent(one.count / all)} of those loaded`}>
                <span className={css.bar} style={{ width: `${(one.count / most) * 100}%` }} />
                <span>{count(one.count)}</span>
              </td>
              {shown.map((metric) => {
                const statistics = one.metrics.find((found) => found.metric === metric.key);
                return (
                  <td key={metric.key} className={ui.number} title={statistics ? valuesOf(statistics, metric) : undefined}>
                    {statistics ? (
                      <>
                        {shownMean(statistics.mean, metric)} {metric.category === "user" && <small>{count(statistics.count)}</small>}
                      </>
                    ) : (
                      <span className={css.nothing}>–</span>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {hasNextPage && (
        <p className={css.more}>
          <Button onClick={() => fetchNextPage()} disabled={isFetchingNextPage}>
            {isFetchingNextPage ? "Loading…" : `Load ${count(Math.min(PAGE, total - groups.length))} more`}
          </Button>
        </p>
      )}
    </div>
  );
}

type SortableHeadProps = {
  by: string;
  isNumber: boolean;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
  children: ReactNode;
};

function SortableHead({ by, isNumber, sorting, onSort, children }: SortableHeadProps) {
  const isBy = sorting.by === by;
  const Icon = sorting.descending ? ArrowDown : ArrowUp;
  return (
    <th className={isNumber ? ui.number : undefined} aria-sort={isBy ? (sorting.descending ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        className={css.sort}
        onClick={() => onSort({ by, descending: isBy ? !sorting.descending : isNumber })}
      >
        {children}
        {isBy && <Icon size={12} aria-hidden />}
      </button>
    </th>
  );
}

function sorted(groups: Group[], { by, descending }: Sorting): Group[] {
  const value = (one: Group): number | string | null =>
    by === "key" ? (one.prompt ?? one.session ?? one.key) : by === "count" ? one.count : meanOf(one, by);
  const sign = descending ? -1 : 1;
  return groups.toSorted((one, other) => {
    const [a, b] = [value(one), value(other)];
    // Groups without a value are last in both directions.
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    return sign * (typeof a === "string" ? a.localeCompare(String(b)) : a - Number(b));
  });
}

function meanOf(group: Group, metric: string): number | null {
  return group.metrics.find((found) => found.metric === metric)?.mean ?? null;
}

function shownMean(mean: number, metric: Metric): string {
  if (metric.kind === "bool") return percent(mean);
  return metric.category === "system" && MILLISECONDS.has(metric.key) ? duration(mean) : measured(mean);
}

function valuesOf({ count: number, min, max, stddev }: Group["metrics"][number], metric: Metric): string {
  if (metric.kind === "bool") return `share of yes among ${count(number)} values`;
  const spread = stddev === null ? "" : `, standard deviation ${measured(stddev)}`;
  return `mean of ${count(number)} values from ${measured(min)} to ${measured(max)}${spread}`;
}

function narrowed(q: string, group: string, key: string | null): string {
  if (group.startsWith("label:")) {
    const label = `label.${quoted(group.slice(6))}`;
    return withPart(q, key === null ? `-${label}` : `${label}:${quoted(key)}`);
  }
  const word = GROUPINGS.find(({ name }) => name === group)?.word ?? group;
  return key === null ? q : withPart(q, `${word}:${quoted(key)}`);
}
