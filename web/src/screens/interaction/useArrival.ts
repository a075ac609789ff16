import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import type { Interaction } from "~/api/client";
import { announce } from "~/ui/announce";
import { spokenName } from "~/ui/values";

/** The focus goes to an interaction that opens, and to the list when it closes; stepping is heard. */
export function useArrival(place: RefObject<HTMLElement | null>, interaction: Interaction | undefined): void {
  const id = interaction?.completion_id;
  const latest = useRef(interaction);
  latest.current = interaction;
  // With what is seen, not after it: who presses a key at once means what is seen.
  useLayoutEffect(() => {
    const { activeElement } = document;
    // Who is typing, or in a dialog, is left where they are.
    if (!id || !latest.current || activeElement?.closest("input, textarea, select, [role=dialog], [role=menu]")) return;
    place.current?.focus({ preventScroll: true });
    announce(spokenName(latest.current));
  }, [id, place]);
  useEffect(
    () => () => {
      // React has taken away what had the focus.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.querySelector<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
      });
    },
    [],
  );
}
