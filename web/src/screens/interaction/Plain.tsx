import { useMemo } from "react";
import { cx } from "~/ui";
import css from "./interaction.module.css";

/** Browsers lay out a text of this length at once without anybody noticing. */
const CHUNK = 20_000;
/** Bidi controls, and what takes no room: they make a text look like another. */
const INVISIBLE = /[\u00AD\u061C\u180E\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/g;

/** A text as it is, with what is invisible made visible. Long ones are laid out piece by piece as they are seen. */
export function Plain({ text, marked = false, soft = false }: PlainProps) {
  const pieces = useMemo(() => chunks(marked ? visible(text) : text), [text, marked]);
  return (
    <div className={cx(css.plain, soft && css.soft)} dir="auto">
      {pieces.map((piece, index) => (
        // Pieces never change their order.
        <div key={index} className={pieces.length > 1 ? css.piece : undefined}>
          {piece}
        </div>
      ))}
    </div>
  );
}

type PlainProps = {
  text: string;
  /** Name what is invisible. */
  marked?: boolean;
  /** In the type of prose, not of code. */
  soft?: boolean;
};

/** Return a text with its invisible characters named. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (one) => `⟨U+${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** Cut a text at line ends into pieces, or anywhere where a line is too long. */
export function chunks(text: string): string[] {
  const found: string[] = [];
  let at = 0;
  while (text.length - at > CHUNK) {
    const end = text.lastIndexOf("\n", at + CHUNK);
    const cut = end > at ? end + 1 : at + CHUNK;
    found.push(text.slice(at, end > at ? end : cut));
    at = cut;
  }
  found.push(text.slice(at));
  return found;
}
