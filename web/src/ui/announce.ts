import css from "./ui.module.css";

let region: HTMLElement | null = null;

/** Let a screen reader announce something that is visible but has no focus. */
export function announce(text: string): void {
  if (!region) {
    region = document.createElement("div");
    region.className = css.srOnly ?? "";
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  region.textContent = text;
}
