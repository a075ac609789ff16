// The title of the window, by which tabs and history entries can be told apart.

import { PROJECT_PLACES, SERVER_PLACES } from "./places";

export type Shown = {
  pathname: string;
  /** The search parameters of the address. */
  search: Record<string, unknown>;
  /** The name of the project of the address. */
  project?: string | undefined;
  /** The prompt of the interaction that is open. */
  prompt?: string | undefined;
};

const PROMPT_CHARACTERS = 60;
const QUERY_CHARACTERS = 40;

/** Return the title of the window: the most specific part first, because tabs cut the end. */
export function windowTitle({ pathname, search, project, prompt }: Shown): string {
  const [, first, , screen, id] = pathname.split("/");
  const places = [...PROJECT_PLACES, ...SERVER_PLACES];
  const own = places.find(([to]) => to === (first === "p" ? `/p/$project/${screen}` : `/${first}`));
  const parts: (string | undefined)[] = [];
  if (screen === "interactions" && (id || search.open)) parts.push(cut(prompt ?? "", PROMPT_CHARACTERS) || "Interaction");
  else {
    const about = [search.metric, search.q].filter((one): one is string => typeof one === "string" && one !== "");
    parts.push(...about.map((one) => cut(one, QUERY_CHARACTERS)), own?.[1] ?? (screen === "start" ? "First steps" : undefined));
  }
  return [...parts, first === "p" ? project : undefined, "Afterword"].filter(Boolean).join(" · ");
}

function cut(text: string, characters: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > characters ? `${line.slice(0, characters).trimEnd()}…` : line;
}
