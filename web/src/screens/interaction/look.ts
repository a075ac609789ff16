// How texts are shown: the viewer's last choice.

import { useSyncExternalStore } from "react";

/** Formatted, raw with hidden characters marked, or the whole interaction as JSON. */
export type View = "rendered" | "raw" | "json";
/** How a text is shown: as Markdown, unformatted, or with hidden characters marked. */
export type Look = "rendered" | "plain" | "raw";

const VIEW = "afterword.view";
const ROLES = "afterword.markdown";
/** Roles whose texts are Markdown by default. People and programs write plain text, in which a star is a star. */
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

/** Return the view of interactions, and a function to choose another one. */
export function useView(): [view: View, choose: (view: View) => void] {
  const [kept, keep] = useKept(VIEW, "rendered");
  return [kept === "raw" || kept === "json" ? kept : "rendered", keep];
}

/** Tell whether the texts of a role are shown as Markdown, and return a function that toggles it for the role. */
export function useMarkdown(role: string): [isMarkdown: boolean, toggle: () => void] {
  const [kept, keep] = useKept(ROLES, MARKDOWN_ROLES);
  const roles = kept.split(",").filter(Boolean);
  const isMarkdown = roles.includes(role);
  return [isMarkdown, () => keep((isMarkdown ? roles.filter((one) => one !== role) : [...roles, role]).join(","))];
}
