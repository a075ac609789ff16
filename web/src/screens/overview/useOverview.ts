import { useQueries, useQuery } from "@tanstack/react-query";
import { answer, api, type Filter, type Metric } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useRankedMetrics } from "~/filter/facets";
import { spanSeconds } from "~/rules/timeRange";
import { countsOf, meansOf, type ModelFigures, together } from "./figures";

/** The most feedback keys with a column; the most used ones are chosen. */
export const MAX_FEEDBACK_KEYS = 4;
const SYSTEM_METRICS = ["latency", "total_tokens"];

type Overview = {
  /** The columns; undefined until it is known which feedback keys are used most. */
  metrics: Metric[] | undefined;
  /** The number of feedback keys without a column. */
  leftOut: number;
  /** Undefined until the interactions have been counted. */
  figures: { models: ModelFigures[]; total: ModelFigures } | undefined;
  error: unknown;
  retry: () => void;
};

/** Fetch the figures of a project for the last `span` and for the period before it, by model. */
export function useOverview(project: string, span: string): Overview {
  const { data: all } = useQuery(metricsQuery(project, "all"));
  const ranked = useRankedMetrics(project);
  const feedbackKeys = ranked.metrics.filter(({ category }) => category === "user");
  const system = (all ?? []).filter(({ category, key }) => category === "system" && SYSTEM_METRICS.includes(key));
  const areKnown = all !== undefined && ranked.areRanked;
  const metrics = areKnown ? [...system, ...feedbackKeys.slice(0, MAX_FEEDBACK_KEYS)] : [];

  const seconds = spanSeconds(span) ?? 0;
  const now: Filter = { timerange: { from: `now - ${seconds} seconds` } };
  const before: Filter = { timerange: { from: `now - ${2 * seconds} seconds`, to: `now - ${seconds} seconds` } };
  const counts = useQueries({ queries: [now, before].map((filter) => countsQuery(project, filter)) });
  const means = useQueries({
    queries: metrics.flatMap(({ key }) => [now, before].map((filter) => meansQuery(project, key, filter))),
  });

  const [current, previous] = counts.map(({ data }) => data && countsOf(data));
  const figures =
    current && previous
      ? together(
          { now: current, before: previous },
          metrics.map((_, index) => {
            const [inSpan, inSpanBefore] = [means[2 * index], means[2 * index + 1]];
            if (inSpan?.isPending || inSpanBefore?.isPending) return null;
            return { now: meansOf(inSpan?.data), before: meansOf(inSpanBefore?.data) };
          }),
        )
      : undefined;
  const refused = [...counts, ...means].filter((query) => query.error);
  return {
    metrics: areKnown ? metrics : undefined,
    leftOut: Math.max(0, feedbackKeys.length - MAX_FEEDBACK_KEYS),
    figures,
    error: refused[0]?.error ?? null,
    retry: () => {
      for (const query of refused) void query.refetch();
    },
  };
}

const countsQuery = (project: string, filter: Filter) => ({
  queryKey: ["statistics", "overview", project, "volume", filter],
  staleTime: 60_000,
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    answer(
      api.POST("/api/v1/interactions/timeseries", {
        body: { project, filter, split_by: "model", interval: "week", failures: true },
        signal,
      }),
    ),
});

const meansQuery = (project: string, metric: string, filter: Filter) => ({
  queryKey: ["statistics", "overview", project, metric, filter],
  staleTime: 60_000,
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    answer(
      api.POST("/api/v1/metrics/{metric}/statistics", {
        params: { path: { metric } },
        body: { project, filter, split_by: "model" },
        signal,
      }),
    ),
});
