import { useEffect, useRef } from "react";
import css from "./conversation.module.css";
import { formulaOf } from "./formulas";

/** A formula in LaTeX with its delimiters. The source is shown until it is rendered, and if it cannot be. */
export function Formula({ source }: { source: string }) {
  const place = useRef<HTMLSpanElement>(null);
  const formula = formulaOf(source);
  useEffect(() => {
    const read = formulaOf(source);
    if (!read) return;
    let isShown = true;
    void import("./drawFormula").then(({ drawFormula }) => {
      const nodes = isShown ? drawFormula(read) : null;
      if (nodes) place.current?.replaceChildren(...nodes);
    });
    return () => {
      isShown = false;
    };
  }, [source]);
  // A wide formula can be scrolled, also by keyboard.
  return (
    <span
      ref={place}
      key={source}
      className={css.formula}
      data-display={formula?.isDisplay}
      tabIndex={formula?.isDisplay ? 0 : undefined}
      title={source}
    >
      {source}
    </span>
  );
}
