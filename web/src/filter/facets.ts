// The facets of a filter's interactions: shown beside the list, and used as suggestions in the filter bar.

import { queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { answer, api, type Filter, type Metric, type Schemas } from "~/api/client";
import { FACETS } from "~/api/generated/fields";
import { labelsQuery, metricsQuery, projectModelsQuery } from "~/api/queries";

export type Facets = Schemas["Facets"];
export type Facet = Schemas["Facet"];

type FacetsOptions = { limit?: number; only?: string | undefined };

export const facetsQuery = (project: string, filter: Filter | null, { limit = 10, only }: FacetsOptions = {}) =>
  queryOptions({
    queryKey: ["facets", project, filter, limit, only ?? null],
    enabled: filter !== null,
    queryFn: ({ signal }) =>
      answer(
        api.POST("/api/v1/interactions/facets", { body: { project, filter, limit, only: only ?? null }, signal }),
      ),
    staleTime: 60_000,
  });

const EVERYTHING: Filter = { and: [] };
const VALUES = 100;

/** The keys of the models in the newest interactions of a project. */
export const usedModelsQuery = (project: string) => ({
  ...facetsQuery(project, EVERYTHING, { limit: VALUES, only: "model" }),
  select: ({ facets }: Facets) => facets.flatMap(({ values }) => values.map(({ value }) => `${value}`)),
});

export type Vocabulary = {
  labels: Schemas["LabelKey"][];
  metrics: Metric[];
  models: string[];
  /** The values of other fields, by the field's word in a query. */
  values: Record<string, string[]>;
  /** Whether the values are ordered by use. */
  areRanked: boolean;
};

/** Return the labels, metrics, models and other values of a project for filters, the most used first. */
export function useVocabulary(project: string, enabled = true): Vocabulary {
  const { data: labels } = useQuery({ ...labelsQuery(project), enabled });
  const { metrics, areRanked } = useRankedMetrics(project, enabled);
  const { data: attached } = useQuery({ ...projectModelsQuery(project), enabled });
  const { data: facets } = useQuery({ ...facetsQuery(project, EVERYTHING, { limit: VALUES }), enabled });
  return useMemo(() => {
    const used = (kind: Facet["kind"]) =>
      (facets?.facets ?? []).filter((one) => one.kind === kind).flatMap(({ values }) => values.map(({ value }) => `${value}`));
    return {
      labels: [...(labels ?? [])].sort((a, b) => b.count - a.count),
      metrics,
      models: [...new Set([...used("model"), ...(attached ?? []).map(({ model }) => model)])],
      values: Object.fromEntries(FACETS.map(({ kind, word }) => [word, used(kind)])),
      areRanked,
    };
  }, [labels, metrics, attached, facets, areRanked]);
}

/** Return the metrics of a project, the most used first once it is known how much they are used. */
export function useRankedMetrics(project: string, enabled = true): Pick<Vocabulary, "metrics" | "areRanked"> {
  const { data: metrics } = useQuery(metricsQuery(project, "all"));
  const { data: facets, isPending } = useQuery({ ...facetsQuery(project, EVERYTHING, { limit: VALUES }), enabled });
  return useMemo(() => {
    const ratings = new Map(
      (facets?.facets ?? []).filter(({ kind }) => kind === "feedback").map(({ key, count }) => [key, count]),
    );
    return {
      metrics: [...(metrics ?? [])].sort((a, b) => (ratings.get(b.key) ?? 0) - (ratings.get(a.key) ?? 0)),
      areRanked: !isPending,
    };
  }, [metrics, facets, isPending]);
}
