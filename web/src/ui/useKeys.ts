import { useLayoutEffect, useRef } from "react";

type Keys = Record<string, (event: KeyboardEvent) => void>;
type KeysOptions = {
  /**
   * For keys that change something: a selector of the parts of the page in which they are meant. They act while the focus
   * is there or nowhere in particular, and once for each press however long a key is held.
   */
  within?: string;
};

const TYPED_IN = "input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable], [role=textbox]";
const OVERLAYS = "[role=dialog], [role=alertdialog], [role=menu], [role=listbox]";
/** Controls that are moved through with arrows. */
const WITH_ARROWS = "[role=tab], [role=menuitem], [role=option], [role=slider], input[type=radio]";
/** Controls that Enter and space press. */
const WITH_ENTER = "button, a, summary, [role=button], [role=tab]";

type Axis = "x" | "y";
const SCROLLS: Record<string, Axis> = {
  ArrowLeft: "x", ArrowRight: "x", ArrowUp: "y", ArrowDown: "y", PageUp: "y", PageDown: "y", Home: "y", End: "y", " ": "y",
}; // prettier-ignore

/** Do something at a key, where it can be meant: not while someone types, chooses or scrolls with it. */
export function useKeys(keys: Keys, { within }: KeysOptions = {}): void {
  const latest = useRef(keys);
  latest.current = keys;
  // With what is seen, not after it: whoever judges a hundred presses the next key at once.
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

/** Tell whether a key is pressed for the page, and not for what has the focus. */
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

/** The body, and the part of the page that gets the focus when nothing else has it. */
function isNowhere(target: Element): boolean {
  return target === document.body || target === document.documentElement || target.id === "content";
}

/** Tell whether something that has the focus, or in which someone has clicked, can be scrolled along an axis. */
function isScrolled(target: Element, axis: Axis): boolean {
  const selected = document.getSelection()?.anchorNode;
  const clicked = selected instanceof Element ? selected : selected?.parentElement;
  return canScroll(target, axis) || (clicked !== undefined && clicked !== null && canScroll(clicked, axis));
}

function canScroll(from: Element, axis: Axis): boolean {
  // The list and the page themselves are moved through by rows, not scrolled.
  for (let one: Element | null = from; one && !isNowhere(one) && one.getAttribute("role") !== "grid"; one = one.parentElement) {
    const [inner, outer] = axis === "x" ? [one.scrollWidth, one.clientWidth] : [one.scrollHeight, one.clientHeight];
    if (inner > outer + 1) {
      const overflow = getComputedStyle(one)[axis === "x" ? "overflowX" : "overflowY"];
      if (overflow === "auto" || overflow === "scroll") return true;
    }
  }
  return false;
}
