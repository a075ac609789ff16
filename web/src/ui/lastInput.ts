// Whether someone uses keys or a pointer. A browser shows the ring of a focus that a script has set as if keys were used,
// until it knows better: on a telephone it would lie around the whole of what opens.

/** Mark the page with `data-by-key` while the last input was a key. */
export function watchLastInput(): void {
  const mark = (isKey: boolean) => document.documentElement.toggleAttribute("data-by-key", isKey);
  addEventListener("keydown", () => mark(true), { capture: true });
  addEventListener("pointerdown", () => mark(false), { capture: true });
}
