import { ChevronDown, ChevronUp, X } from "lucide-react";
import { createContext, type KeyboardEvent, type RefObject, useContext, useEffect, useRef, useState } from "react";
import { IconButton, Input } from "~/ui";
import { count } from "~/ui/values";
import css from "./conversation.module.css";
import { rangesOf } from "./found";

const Sought = createContext("");

/** Provides the searched text; folds that contain it are opened. */
export const SoughtProvider = Sought.Provider;
export const useSought = (): string => useContext(Sought);

/** Tell whether a text contains the searched text, as written or as rendered Markdown. */
export function contains(text: string, sought: string): boolean {
  if (!sought) return false;
  const [low, wanted] = [text.toLowerCase(), sought.toLowerCase()];
  return low.includes(wanted) || low.replace(/[*_`~]+/g, "").includes(wanted);
}

type FindBarProps = {
  /** The element that is searched; its content may change meanwhile. */
  place: RefObject<HTMLElement | null>;
  sought: string;
  onSeek: (sought: string) => void;
  onClose: () => void;
};

/** Search in a conversation, including folded parts, and step through the matches. */
export function FindBar({ place, sought, onSeek, onClose }: FindBarProps) {
  const [ranges, setRanges] = useState<Range[]>([]);
  const [at, setAt] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  useEffect(() => {
    const root = place.current;
    if (!root) return;
    let frame = 0;
    const look = () => setRanges(rangesOf(root, sought.trim()));
    const observer = new MutationObserver(() => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(look);
    });
    observer.observe(root, { childList: true, subtree: true, characterData: true });
    look();
    return () => {
      observer.disconnect();
      cancelAnimationFrame(frame);
    };
  }, [place, sought]);
  const now = ranges[Math.min(at, ranges.length - 1)];
  useEffect(() => {
    // Older browsers cannot highlight a match and only scroll to it.
    if (!("highlights" in CSS)) return;
    CSS.highlights.set("found", new Highlight(...ranges));
    CSS.highlights.set("found-now", new Highlight(...(now ? [now] : [])));
    return () => {
      CSS.highlights.delete("found");
      CSS.highlights.delete("found-now");
    };
  }, [ranges, now]);
  const element = now?.startContainer.parentElement;
  // biome-ignore lint/correctness/useExhaustiveDependencies: two matches may be in one element.
  useEffect(() => {
    element?.scrollIntoView({ block: "center" });
  }, [element, at]);

  const step = (by: 1 | -1) => ranges.length && setAt((Math.min(at, ranges.length - 1) + by + ranges.length) % ranges.length);
  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
  }
  return (
    <div className={css.find} role="search" aria-label="In this conversation" onKeyDown={onKeyDown}>
      <Input
        ref={field}
        type="search"
        aria-label="Search in this conversation"
        placeholder="Search in this conversation"
        value={sought}
        onChange={(event) => {
          setAt(0);
          onSeek(event.target.value);
        }}
      />
      <span role="status">
        {sought.trim() && (now ? `${count(Math.min(at, ranges.length - 1) + 1)} of ${count(ranges.length)}` : "not found")}
      </span>
      <IconButton small label="The place before (Shift+Enter)" onClick={() => step(-1)}>
        <ChevronUp size={14} aria-hidden />
      </IconButton>
      <IconButton small label="The next place (Enter)" onClick={() => step(1)}>
        <ChevronDown size={14} aria-hidden />
      </IconButton>
      <IconButton small label="End the search (Esc)" onClick={onClose}>
        <X size={14} aria-hidden />
      </IconButton>
    </div>
  );
}
