import { useMemo, useState } from "react";
import { Button } from "~/ui";
import { bytes } from "~/ui/values";
import css from "./conversation.module.css";
import { Markdown } from "./Markdown";
import { Plain } from "./Plain";
import { foldAt, MOST_RENDERED, sizeOf } from "./texts";

export type Look = "rendered" | "raw";

/** A text of a message, folded where it is long. */
export function Text({ text, look = "rendered" }: { text: string; look?: Look }) {
  const fold = useMemo(() => foldAt(text), [text]);
  const [isWhole, setWhole] = useState(false);
  const shown = fold === null || isWhole ? text : text.slice(0, fold);
  return (
    <div className={css.text}>
      {look === "raw" ? <Plain text={shown} marked /> : <Markdown text={shown} />}
      {fold !== null && (
        <p className={css.more}>
          <Button small aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
            {isWhole ? "Show less" : `Show all ${bytes(sizeOf(text))}`}
          </Button>
          {isWhole && look === "rendered" && text.length > MOST_RENDERED && " Too long for Markdown: shown as it is."}
        </p>
      )}
    </div>
  );
}
