import { useLayoutEffect, useRef } from "react";

type Keys = Record<string, (event: KeyboardEvent) => void>;
type KeysOptions = {
  /**
   * For keys that change data: a selector of the parts of the page in which they work. The focus must be there or
   * nowhere in particular, and a key that is held acts once.
   */
  within?: string;
};

const TYPED_IN = "input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable], [role=textbox]";
const OVERLAYS = "[role=dialog], [role=alertdialog], [role=menu], [role=listbox]";
/** Controls that use the arrow keys. */
const WITH_ARROWS = "[role=tab], [role=menuitem], [role=option], [role=slider], input[type=radio]";
/** Controls that Enter and space activate. */
const WITH_ENTER = "button, a, summary, [role=button], [role=tab]";

type Axis = "x" | "y";
const SCROLLS: Record<string, Axis> = {
  ArrowLeft: "x", ArrowRight: "x", ArrowUp: "y", ArrowDown: "y", PageUp: "y", PageDown: "y", Home: "y", End: "y", " ": "y",
}; // prettier-ignore

/** Handle keys, except while someone uses them to type, choose or scroll. */
export function useKeys(keys: Keys, { within }: KeysOptions = {}): void {
  const latest = useRef(keys);
  latest.current = keys;
  // Before paint, because people who judge many pairs press the next key at once.
  useLayoutEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      const act = latest.current[event.key];
      if (!act || !isMeant(event, within)) return;
      event.preventDefault();
      act(event);
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [within]);
}

/** Tell whether a key press is for the page, not for the focused element. */
export function isMeant(event: KeyboardEvent, within?: string): boolean {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
  const target = event.target as Element;
  if (target.closest(TYPED_IN) || target.closest(OVERLAYS)) return false;
  if ((event.key === "Enter" || event.key === " ") && target.closest(WITH_ENTER)) return false;
  const axis = SCROLLS[event.key];
  if (axis && (target.closest(WITH_ARROWS) || isScrolled(target, axis))) return false;
  if (within === undefined) return true;
  return !event.repeat && (isNowhere(target) || target.closest(within) !== null);
}

/** Tell whether the target is the body, or the part of the page that has the focus by default. */
function isNowhere(target: Element): boolean {
  return target === document.body || target === document.documentElement || target.id === "content";
}

/** Tell whether the focused or last clicked element can be scrolled along an axis. */
function isScrolled(target: Element, axis: Axis): boolean {
  const selected = document.getSelection()?.anchorNode;
  const clicked = selected instanceof Element ? selected : selected?.parentElement;
  return canScroll(target, axis) || (clicked !== undefined && clicked !== null && canScroll(clicked, axis));
}

function canScroll(from: Element, axis: Axis): boolean {
  // In the list and the page itself, keys move by rows and do not scroll.
  for (let one: Element | null = from; one && !isNowhere(one) && one.getAttribute("role") !== "grid"; one = one.parentElement) {
    const [inner, outer] = axis === "x" ? [one.scrollWidth, one.clientWidth] : [one.scrollHeight, one.clientHeight];
    if (inner > outer + 1) {
      const overflow = getComputedStyle(one)[axis === "x" ? "overflowX" : "overflowY"];
      if (overflow === "auto" || overflow === "scroll") return true;
    }
  }
  return false;
}
