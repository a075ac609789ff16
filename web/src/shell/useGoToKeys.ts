import { useEffect, useRef } from "react";

/** Milliseconds after `g` in which the second key counts. */
const PAUSE = 1_500;
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable], [role=dialog], [role=menu]";

/** Go to a screen at `g` and a second key; open the palette at ⌘K or Ctrl+K. */
export function useGoToKeys(goTo: (key: string) => boolean, openPalette: () => void): void {
  const latest = useRef({ goTo, openPalette });
  latest.current = { goTo, openPalette };
  useEffect(() => {
    let begun = 0;
    function onKeyDown(event: KeyboardEvent) {
      if ((event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        latest.current.openPalette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if ((event.target as HTMLElement).closest?.(TYPING)) return;
      const isSecond = event.timeStamp - begun < PAUSE && begun > 0;
      begun = 0;
      if (isSecond && latest.current.goTo(event.key)) {
        // The screens use the same letters as keys.
        event.preventDefault();
        event.stopPropagation();
      } else if (event.key === "g") {
        begun = event.timeStamp;
      }
    }
    // In the capture phase, before the screens get the event.
    document.addEventListener("keydown", onKeyDown, true);
    return () => document.removeEventListener("keydown", onKeyDown, true);
  }, []);
}
