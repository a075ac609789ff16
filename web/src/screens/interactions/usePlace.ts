import { useLocation } from "@tanstack/react-router";
import { useEffect, useRef } from "react";

type Place = { top: number; chosen: string | null };

/** The scroll position and chosen row of lists, by entry of the browser's history. */
const places = new Map<string, Place>();

/** Remember a list's scroll position and chosen row, so that going back restores them. */
export function usePlace(q: string) {
  const key = useLocation({ select: ({ state }) => state.__TSR_key ?? "" });
  const now = useRef<Place & { key: string; q: string }>({ top: 0, chosen: null, key, q });
  const left = useRef<Place | undefined>(undefined);
  if (left.current === undefined) left.current = places.get(key) ?? { top: 0, chosen: null };

  useEffect(() => {
    const before = now.current;
    // Another history entry of the same list, such as an opened interaction, keeps the place.
    if (before.key !== key && before.q === q && !places.has(key)) places.set(key, { top: before.top, chosen: before.chosen });
    now.current = { ...(places.get(key) ?? { top: 0, chosen: null }), key, q };
  }, [key, q]);

  const keep = (change: Partial<Place>) => {
    now.current = { ...now.current, ...change };
    places.set(now.current.key, { top: now.current.top, chosen: now.current.chosen });
  };
  return {
    /** The row that was chosen when this entry was left. */
    chosen: left.current.chosen,
    topOf: () => places.get(key)?.top ?? 0,
    onScrolled: (top: number) => keep({ top }),
    onChosen: (chosen: string | null) => keep({ chosen }),
  };
}
