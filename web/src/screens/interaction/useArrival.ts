import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import type { Interaction } from "~/api/client";
import { announce } from "~/ui/announce";
import { spokenName } from "~/ui/values";

/** Move the focus to an interaction that opens, and to the list when it closes. Screen readers announce steps. */
export function useArrival(place: RefObject<HTMLElement | null>, interaction: Interaction | undefined): void {
  const id = interaction?.completion_id;
  const latest = useRef(interaction);
  latest.current = interaction;
  // Before paint, so that a key pressed at once applies to what is shown.
  useLayoutEffect(() => {
    const { activeElement } = document;
    // Do not move the focus from a text field or a dialog.
    if (!id || !latest.current || activeElement?.closest("input, textarea, select, [role=dialog], [role=menu]")) return;
    place.current?.focus({ preventScroll: true });
    announce(spokenName(latest.current));
  }, [id, place]);
  useEffect(
    () => () => {
      // React has removed the element that had the focus.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.querySelector<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
      });
    },
    [],
  );
}
