// What someone has chosen about the list, kept in the browser: columns and their widths, facets and chart in sight.

const read = (key: string): string | null => localStorage.getItem(`afterword.${key}`);

function write(key: string, value: string | null): void {
  if (value === null) localStorage.removeItem(`afterword.${key}`);
  else localStorage.setItem(`afterword.${key}`, value);
}

export const keptColumns = (project: string): string | null => read(`columns.${project}`);
export const keepColumns = (project: string, keys: string | null): void => write(`columns.${project}`, keys);

/** Return the widths that were drawn, in pixels, by the key of the column. */
export function keptWidths(): Record<string, number> {
  try {
    return JSON.parse(read("widths") ?? "{}") as Record<string, number>;
  } catch {
    return {};
  }
}

export const keepWidths = (widths: Record<string, number>): void => write("widths", JSON.stringify(widths));

export type Part = "facets" | "chart";

/** In a window of up to 900 pixels facets lie over the list, as they do in facets.module.css: they are opened for once. */
export const areFacetsOnTop = (): boolean => innerWidth <= 900;

/** Whether facets or the chart are in sight: at first where there is room for them. */
export function isInSight(part: Part): boolean {
  if (part === "facets" && areFacetsOnTop()) return false;
  const kept = read(`shows.${part}`);
  return kept === null ? innerWidth >= (part === "facets" ? 1200 : 900) : kept === "yes";
}

export function keepInSight(part: Part, isShown: boolean): void {
  if (part === "facets" && areFacetsOnTop()) return;
  write(`shows.${part}`, isShown ? "yes" : "no");
}
