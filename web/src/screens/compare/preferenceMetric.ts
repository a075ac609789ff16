// The default feedback key of preferences, if the address has none.

import type { Metric } from "~/api/client";

const KEPT = "afterword.preference-metric";

/** Return the last chosen key, or one whose name suggests preferences. */
export function preferenceMetric(metrics: readonly Metric[] | undefined): string | undefined {
  const keys = metrics?.map(({ key }) => key);
  const kept = localStorage.getItem(KEPT);
  return keys?.find((key) => key === kept) ?? keys?.find((key) => /prefer|better/i.test(key)) ?? keys?.[0];
}

export function keepPreferenceMetric(key: string): void {
  localStorage.setItem(KEPT, key);
}
