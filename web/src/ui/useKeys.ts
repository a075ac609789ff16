import { useLayoutEffect, useRef } from "react";

/** Do something at a key, unless someone is typing, or a dialog or menu is open. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  // With what is seen, not after it: whoever judges a hundred presses the next key at once.
  useLayoutEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], [role=dialog], [role=menu]")) return;
      const act = latest.current[event.key];
      if (!act || (event.key === "Enter" && target.closest("button, a"))) return;
      event.preventDefault();
      act(event);
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}
