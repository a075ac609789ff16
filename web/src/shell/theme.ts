// Light, dark, or the system's theme.

export type Theme = "system" | "light" | "dark";

const KEY = "afterword.theme";

export function theme(): Theme {
  return (localStorage.getItem(KEY) as Theme | null) ?? "system";
}

/** Show the page in the chosen theme; with an argument, choose it first. */
export function showTheme(chosen?: Theme): void {
  if (chosen) localStorage.setItem(KEY, chosen);
  const now = chosen ?? theme();
  if (now === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
}
