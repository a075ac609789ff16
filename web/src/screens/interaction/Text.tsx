import { useMemo, useState } from "react";
import { Button } from "~/ui";
import { bytes } from "~/ui/values";
import css from "./conversation.module.css";
import { contains, useSought } from "./Find";
import type { Look } from "./look";
import { Markdown } from "./Markdown";
import { Plain } from "./Plain";
import { foldAt, MOST_RENDERED, sizeOf } from "./texts";

/** A text of a message, folded if it is long. */
export function Text({ text, look = "rendered" }: { text: string; look?: Look }) {
  const fold = useMemo(() => foldAt(text), [text]);
  const [isOpened, setOpened] = useState(false);
  const sought = useSought();
  const isWhole = isOpened || (fold !== null && contains(text, sought));
  const shown = fold === null || isWhole ? text : text.slice(0, fold);
  return (
    <div className={css.text}>
      {look === "rendered" ? <Markdown text={shown} /> : <Plain text={shown} marked={look === "raw"} isProse={look === "plain"} />}
      {fold !== null && (
        <p className={css.more}>
          <Button small aria-expanded={isWhole} onClick={() => setOpened(!isWhole)}>
            {isWhole ? "Show less" : `Show all ${bytes(sizeOf(text))}`}
          </Button>
          {isWhole && look === "rendered" && text.length > MOST_RENDERED && " Too long for Markdown: shown as it is."}
        </p>
      )}
    </div>
  );
}
