// How texts are shown, as the viewer chose it last.

import { useSyncExternalStore } from "react";

/** As they read best, as they are with each hidden character, or the whole interaction as JSON. */
export type View = "rendered" | "raw" | "json";
/** How one text is shown: as Markdown, as it is, or with its hidden characters marked. */
export type Look = "rendered" | "plain" | "raw";

const VIEW = "afterword.view";
const ROLES = "afterword.markdown";
/** What models write is Markdown. What people and programs write is text, in which a star is a star. */
const MARKDOWN_ROLES = "assistant,model";

const listeners = new Set<() => void>();

function useKept(key: string, usual: string): [kept: string, keep: (value: string) => void] {
  const kept = useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => localStorage.getItem(key) ?? usual,
  );
  const keep = (value: string) => {
    localStorage.setItem(key, value);
    for (const changed of listeners) changed();
  };
  return [kept, keep];
}

/** Return the view of interactions, and how to choose another one. */
export function useView(): [view: View, choose: (view: View) => void] {
  const [kept, keep] = useKept(VIEW, "rendered");
  return [kept === "raw" || kept === "json" ? kept : "rendered", keep];
}

/** Tell whether the texts of a role are shown as Markdown, and return how to change that for all of the role. */
export function useMarkdown(role: string): [isMarkdown: boolean, toggle: () => void] {
  const [kept, keep] = useKept(ROLES, MARKDOWN_ROLES);
  const roles = kept.split(",").filter(Boolean);
  const isMarkdown = roles.includes(role);
  return [isMarkdown, () => keep((isMarkdown ? roles.filter((one) => one !== role) : [...roles, role]).join(","))];
}
