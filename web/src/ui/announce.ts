import css from "./ui.module.css";

let region: HTMLElement | null = null;

/** Have a screen reader say something that is seen without having the focus. */
export function announce(text: string): void {
  if (!region) {
    region = document.createElement("div");
    region.className = css.srOnly ?? "";
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  region.textContent = text;
}
