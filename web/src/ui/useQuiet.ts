import { useEffect, useState } from "react";

/** Return a value that has not changed for so long; until then, the last one that had not. */
export function useQuiet<T extends string | null>(value: T, milliseconds: number): T {
  const [quiet, setQuiet] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setQuiet(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return quiet;
}
