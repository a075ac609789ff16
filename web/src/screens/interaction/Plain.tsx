import { memo, useMemo } from "react";
import { cx } from "~/ui";
import css from "./conversation.module.css";
import { revealed } from "./invisible";
import { chunks, type NumberedLines, numberedLists } from "./texts";
import { useGrowing } from "./useGrowing";

type PlainProps = {
  text: string;
  /** Whether hidden characters are made visible. */
  marked?: boolean;
  /** Whether it is set like prose, not like code. */
  isProse?: boolean;
};

/** An unformatted text. Pieces of a long one are laid out when visible, so that megabytes do not freeze the page. */
export function Plain({ text, marked = false, isProse = false }: PlainProps) {
  const pieces = useMemo(() => chunks(text), [text]);
  const drawn = useGrowing(pieces.length, 12, 40);
  return (
    <div className={cx(css.plain, isProse && css.prose)} dir="auto">
      {pieces.slice(0, drawn).map((piece, index) => (
        // Pieces never change their order.
        <Piece key={index} text={piece} marked={marked} isProse={isProse} alone={pieces.length === 1} />
      ))}
    </div>
  );
}

type PieceProps = { text: string; marked: boolean; isProse: boolean; alone: boolean };

const Piece = memo(function Piece({ text, marked, isProse, alone }: PieceProps) {
  return (
    <div className={alone ? undefined : css.piece}>
      {marked
        ? revealed(text).map((part, index) =>
            typeof part === "string" ? (
              part
            ) : (
              <span key={index} className={css.mark} title={part.name}>
                {part.mark}
              </span>
            ),
          )
        : isProse
          ? numberedLists(text).map((part, index) => (typeof part === "string" ? part : <NumberedList key={index} {...part} />))
          : text}
      {/* Gives an empty line its height. */}
      {text === "" && !alone && <br />}
    </div>
  );
});

/** A list for screen readers that looks like the lines as written, with their own numbers. */
function NumberedList({ start, lines }: NumberedLines) {
  return (
    <ol start={start} className={css.numbered}>
      {lines.map((line, index) => (
        <li key={index}>{line}</li>
      ))}
    </ol>
  );
}
