import { type RefObject, useLayoutEffect } from "react";

/** Scroll a conversation to its newest turn if that is out of sight: to the last user message, else to the answer. */
export function useNewestTurn(place: RefObject<HTMLElement | null>, isWhole: boolean): void {
  useLayoutEffect(() => {
    const messages = [...(place.current?.querySelectorAll<HTMLElement>("[data-role]") ?? [])];
    if (!isWhole || messages.length < 3) return;
    const [before, answer] = messages.slice(-2) as [HTMLElement, HTMLElement];
    const newest = before.dataset.role === "user" ? before : answer;
    const scroller = scrollerOf(newest);
    if (newest.getBoundingClientRect().bottom > scroller.getBoundingClientRect().bottom) newest.scrollIntoView({ block: "start" });
  }, [place, isWhole]);
}

function scrollerOf(element: HTMLElement): HTMLElement {
  for (let around = element.parentElement; around; around = around.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(around).overflowY)) return around;
  }
  return document.documentElement;
}
