// Whether the last input was a key or a pointer. A browser shows the focus ring after a script sets the focus, as if
// keys were used. On a telephone the ring would surround everything that opens.

/** Mark the page with `data-by-key` while the last input was a key. */
export function watchLastInput(): void {
  const mark = (isKey: boolean) => document.documentElement.toggleAttribute("data-by-key", isKey);
  addEventListener("keydown", () => mark(true), { capture: true });
  addEventListener("pointerdown", () => mark(false), { capture: true });
}
