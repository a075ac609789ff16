// What several screens ask for, each under one key, so that it is asked for once.

import { queryOptions, useQuery } from "@tanstack/react-query";
import { answer, api } from "./client";

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/projects", { signal })),
  select: (found) => found.projects,
});

/** The feedback keys of a project; with `system`, those that the server measures, too. */
export const metricsQuery = (project: string, category: "user" | "all" = "user") =>
  queryOptions({
    queryKey: ["metrics", project, category],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/metrics", { params: { query: { project, category } }, signal })),
    select: (found) => found.metrics,
  });

export const labelsQuery = (project: string) =>
  queryOptions({
    queryKey: ["labels", project],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/labels", { params: { query: { project } }, signal })),
    select: (found) => found.labels,
  });

/** All models that completions of this project may name: those attached to it, and those seen in its interactions. */
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

/** One interaction, whole. */
export const interactionQuery = (completion_id: string) =>
  queryOptions({
    queryKey: ["interaction", completion_id],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/interactions/{completion_id}", { params: { path: { completion_id } }, signal })),
  });

export const useMetrics = (project: string, category: "user" | "all" = "user") =>
  useQuery(metricsQuery(project, category));
export const useLabels = (project: string) => useQuery(labelsQuery(project));
