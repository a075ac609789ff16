// Loads KaTeX with its styles and fonts for the first formula.

import katex from "katex";
import "katex/dist/katex.min.css";
import type { Formula } from "./formulas";

/** Return a formula as nodes; null if KaTeX cannot parse it. */
export function drawFormula({ tex, isDisplay }: Formula): Node[] | null {
  let markup: string;
  try {
    markup = katex.renderToString(tex, { displayMode: isDisplay, strict: "ignore", maxSize: 20, maxExpand: 500 });
  } catch {
    return null;
  }
  const parsed = new DOMParser().parseFromString(markup.replaceAll(' style="', ' data-style="'), "text/html");
  // The content security policy forbids style attributes in markup, but scripts may set styles.
  for (const element of parsed.querySelectorAll<HTMLElement>("[data-style]")) {
    element.style.cssText = element.dataset.style ?? "";
    delete element.dataset.style;
  }
  return [...parsed.body.childNodes];
}
