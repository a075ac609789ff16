import { startTransition, useEffect, useState } from "react";

/** Return the latest value for which the list is shown; null before the first. Facets and chart use it for their
 * queries, so that they never delay the list. */
export function useSettled<T>(wanted: T, isListShown: boolean): T | null {
  const [settled, setSettled] = useState<T | null>(null);
  useEffect(() => {
    if (isListShown) startTransition(() => setSettled(() => wanted));
  }, [wanted, isListShown]);
  return settled;
}
