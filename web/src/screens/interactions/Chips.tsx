import type { ReactNode } from "react";
import css from "./interactions.module.css";
import { fitting } from "./fitting";

/** A small thing in a row; `text` is what it says, to tell how wide it is. */
export type ChipItem = { text: string; chip: ReactNode };

/** As many chips as a cell has room for, and how many more there are. */
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
