import { startTransition, useEffect, useState } from "react";

/** Return what the list was asked for whose rows are in sight; null before its first. What stands beside the list asks by
 * it, so that facets and chart never keep the list waiting. */
export function useSettled<T>(wanted: T, isListShown: boolean): T | null {
  const [settled, setSettled] = useState<T | null>(null);
  useEffect(() => {
    if (isListShown) startTransition(() => setSettled(() => wanted));
  }, [wanted, isListShown]);
  return settled;
}
