import { useEffect, useRef } from "react";
import css from "./conversation.module.css";
import { formulaOf } from "./formulas";

/** A formula in LaTeX with its delimiters. It is shown as it was written until it is drawn, and where it cannot be. */
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
  // What is too wide is scrolled, by keyboard too.
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
