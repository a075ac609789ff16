// The figures of a period and of the previous period, by model.

import type { Schemas } from "~/api/client";

type Model = string | null;
type Means = Map<Model, { mean: number; count: number }>;
export type Mean = { now: number | null; before: number | null };

export type ModelFigures = {
  /** Null stands for interactions without a model; in the total, for all models. */
  model: Model;
  count: number;
  countBefore: number;
  failed: number;
  failedBefore: number;
  /** In the order of the metrics; null while a mean is being fetched. */
  means: (Mean | null)[];
};

/** The relative change from the previous period. */
export type Change = { share: number };

type Counts = ReadonlyMap<Model, { count: number; failed: number }>;

/** Return the number of interactions of each model and of its failures, over all times. */
export function countsOf(trend: Schemas["Trend"]): Counts {
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  return new Map(
    trend.series.map(({ key, points }) => [
      key,
      { count: sum(points.map(({ count }) => count)), failed: sum(points.map(({ failed = 0 }) => failed)) },
    ]),
  );
}

/** Return the mean of each model. */
export function meansOf(summary: Schemas["MetricSummary"] | undefined): Means {
  return new Map(summary?.splits?.map(({ key, mean, count }) => [key, { mean, count }]));
}

/** Return the figures of each model, the one with the most interactions first, and of all together. `metrics` has null
 * for a metric whose means are still being fetched. */
export function together(
  counts: { now: Counts; before: Counts },
  metrics: ({ now: Means; before: Means } | null)[],
): { models: ModelFigures[]; total: ModelFigures } {
  const models = [...new Set([...counts.now.keys(), ...counts.before.keys()])]
    .map((model) => ({
      model,
      count: counts.now.get(model)?.count ?? 0,
      countBefore: counts.before.get(model)?.count ?? 0,
      failed: counts.now.get(model)?.failed ?? 0,
      failedBefore: counts.before.get(model)?.failed ?? 0,
      means: metrics.map(
        (means) => means && { now: means.now.get(model)?.mean ?? null, before: means.before.get(model)?.mean ?? null },
      ),
    }))
    .sort((a, b) => b.count - a.count || b.countBefore - a.countBefore);
  const sum = (of: (figures: ModelFigures) => number) => models.reduce((total, figures) => total + of(figures), 0);
  return {
    models,
    total: {
      model: null,
      count: sum((one) => one.count),
      countBefore: sum((one) => one.countBefore),
      failed: sum((one) => one.failed),
      failedBefore: sum((one) => one.failedBefore),
      means: metrics.map((means) => means && { now: overall(means.now), before: overall(means.before) }),
    },
  };
}

function overall(means: Means): number | null {
  const values = [...means.values()];
  const count = values.reduce((sum, one) => sum + one.count, 0);
  return count ? values.reduce((sum, one) => sum + one.mean * one.count, 0) / count : null;
}

/** Return the change; null if either period has no value. */
export function changeOf(now: number | null, before: number | null): Change | null {
  return now === null || before === null || before === 0 ? null : { share: (now - before) / Math.abs(before) };
}
