// The viewer's settings of the list, stored in the browser: columns and widths, and whether facets and chart are shown.

const read = (key: string): string | null => localStorage.getItem(`afterword.${key}`);

function write(key: string, value: string | null): void {
  if (value === null) localStorage.removeItem(`afterword.${key}`);
  else localStorage.setItem(`afterword.${key}`, value);
}

export const keptColumns = (project: string): string | null => read(`columns.${project}`);
export const keepColumns = (project: string, keys: string | null): void => write(`columns.${project}`, keys);

/** Return the widths set by dragging, in pixels, by the key of the column. */
export function keptWidths(): Record<string, number> {
  try {
    return JSON.parse(read("widths") ?? "{}") as Record<string, number>;
  } catch {
    return {};
  }
}

export const keepWidths = (widths: Record<string, number>): void => write("widths", JSON.stringify(widths));

export type Part = "facets" | "chart";

/** In a window of up to 900 pixels the facets cover the list (see facets.module.css), so they do not stay open. */
export const areFacetsOnTop = (): boolean => innerWidth <= 900;

/** Whether facets or the chart are shown; by default, if there is room for them. */
export function isInSight(part: Part): boolean {
  if (part === "facets" && areFacetsOnTop()) return false;
  const kept = read(`shows.${part}`);
  return kept === null ? innerWidth >= (part === "facets" ? 1200 : 900) : kept === "yes";
}

export function keepInSight(part: Part, isShown: boolean): void {
  if (part === "facets" && areFacetsOnTop()) return;
  write(`shows.${part}`, isShown ? "yes" : "no");
}
