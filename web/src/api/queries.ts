// Queries that several screens share, each under one key, so that each is fetched once.

import { queryOptions, useQuery } from "@tanstack/react-query";
import { answer, api, type Schemas } from "./client";

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/projects", { signal })),
  select: (found) => found.projects,
});

/** The feedback keys of a project; with `all`, also the server's own metrics. Both come from one call. */
export const metricsQuery = (project: string, category: "user" | "all" = "user") =>
  queryOptions({
    queryKey: ["metrics", project],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/metrics", { params: { query: { project, category: "all" } }, signal })),
    select: category === "all" ? allMetrics : userMetrics,
    staleTime: 60_000,
  });

const allMetrics = ({ metrics }: Schemas["MetricList"]) => metrics;
const userMetrics = ({ metrics }: Schemas["MetricList"]) => metrics.filter(({ category }) => category === "user");

export const labelsQuery = (project: string) =>
  queryOptions({
    queryKey: ["labels", project],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/labels", { params: { query: { project } }, signal })),
    select: (found) => found.labels,
    // The count covers all interactions, and there may be millions: do not repeat it at every keystroke.
    staleTime: 300_000,
  });

/** All models that the key may see: those that can be called, and those that interactions only name. */
export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/models", { signal })),
  select: (found) => found.models,
});

/** The models that can be called in a project, its default first. */
export const projectModelsQuery = (project: string) =>
  queryOptions({
    queryKey: ["project-models", project],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/projects/{project}/models", { params: { path: { project } }, signal })),
    select: (found) => found.models ?? [],
  });

/** One interaction in full. */
export const interactionQuery = (completion_id: string) =>
  queryOptions({
    queryKey: ["interaction", completion_id],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/interactions/{completion_id}", { params: { path: { completion_id } }, signal })),
  });

/** One interaction in full, with inline images, so that its call can be repeated elsewhere. */
export const inlineInteractionQuery = (completion_id: string) =>
  queryOptions({
    queryKey: ["interaction-inline", completion_id],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/interactions/{completion_id}", {
          params: { path: { completion_id }, query: { images: "inline" } },
          signal,
        }),
      ),
    // The texts of an interaction never change.
    staleTime: Number.POSITIVE_INFINITY,
  });

export const useMetrics = (project: string, category: "user" | "all" = "user") =>
  useQuery(metricsQuery(project, category));
export const useLabels = (project: string) => useQuery(labelsQuery(project));
