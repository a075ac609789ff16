import type { ReactNode } from "react";
import css from "./interactions.module.css";
import { fitting } from "./fitting";

/** A chip in a cell; `text` is its text, from which its width is estimated. */
export type ChipItem = { text: string; chip: ReactNode };

/** The chips that fit into a cell, and the number of the others. */
export function Chips({ items, pixels }: { items: ChipItem[]; pixels: number | undefined }) {
  const number = fitting(
    items.map(({ text }) => text),
    pixels,
  );
  const hidden = items.slice(number);
  return (
    <>
      {items.slice(0, number).map(({ chip }) => chip)}
      {hidden.length > 0 && (
        <span className={css.further} title={hidden.map(({ text }) => text).join("\n")}>
          +{hidden.length}
        </span>
      )}
    </>
  );
}
