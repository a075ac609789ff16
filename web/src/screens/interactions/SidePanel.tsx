import { type KeyboardEvent, type PointerEvent, type ReactNode, useRef } from "react";
import css from "./interactions.module.css";

const KEPT = "afterword.panel";

/** A panel beside the list. Its width can be changed by dragging, and is remembered. */
export function SidePanel({ children }: { children: ReactNode }) {
  const panel = useRef<HTMLElement>(null);

  function setWidth(percent: number) {
    const width = `${Math.round(Math.min(75, Math.max(25, percent)))}%`;
    panel.current?.style.setProperty("--panel", width);
    localStorage.setItem(KEPT, width);
  }
  function onMove(event: PointerEvent<HTMLElement>) {
    const whole = panel.current?.parentElement?.getBoundingClientRect();
    if (!whole || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    setWidth(((whole.right - event.clientX) / whole.width) * 100);
  }
  function onKeyDown(event: KeyboardEvent) {
    const by = { ArrowLeft: 4, ArrowRight: -4 }[event.key];
    const now = Number.parseInt(localStorage.getItem(KEPT) ?? "46", 10);
    if (by) setWidth(now + by);
  }
  return (
    <aside
      ref={panel}
      className={css.panel}
      aria-label="Interaction"
      style={{ "--panel": localStorage.getItem(KEPT) ?? "46%" } as React.CSSProperties}
    >
      <div
        className={css.grip}
        role="separator"
        aria-orientation="vertical"
        aria-label="Width of the panel"
        aria-valuenow={Number.parseInt(localStorage.getItem(KEPT) ?? "46", 10)}
        tabIndex={0}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={onMove}
        onKeyDown={onKeyDown}
      />
      {children}
    </aside>
  );
}
