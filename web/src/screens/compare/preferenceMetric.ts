// Which feedback key preferences stand under, where the address does not say so.

import type { Metric } from "~/api/client";

const KEPT = "afterword.preference-metric";

/** Return the key that was chosen last, or one whose name says that it is for preferences. */
export function preferenceMetric(metrics: readonly Metric[] | undefined): string | undefined {
  const keys = metrics?.map(({ key }) => key);
  const kept = localStorage.getItem(KEPT);
  return keys?.find((key) => key === kept) ?? keys?.find((key) => /prefer|better/i.test(key)) ?? keys?.[0];
}

export function keepPreferenceMetric(key: string): void {
  localStorage.setItem(KEPT, key);
}
