// A model's text as Markdown. It may be hostile: no HTML, no images of other hosts, and no links that run code. If the
// Markdown parser fails, the text is shown unformatted.

import { Component, lazy, type ReactNode, Suspense, useMemo } from "react";
import { loadPart } from "~/shell/loadPart";
import css from "./conversation.module.css";
import { Formula } from "./Formula";
import { type Segment, segments } from "./formulas";
import { Plain } from "./Plain";
import { blocks, MOST_RENDERED } from "./texts";
import { useGrowing } from "./useGrowing";

const load = loadPart(() => import("./RenderedMarkdown"));
const Rendered = lazy(load);

/** Start to load the Markdown renderer before a text needs it. */
export const preloadMarkdown = (): void => void load();

/** A text that is Markdown, or may be. */
export function Markdown({ text }: { text: string }) {
  if (text.length > MOST_RENDERED || !isReadable(text)) return <Plain text={text} marked />;
  return (
    <Broken key={text} instead={<Plain text={text} marked />}>
      <Blocks text={text} />
    </Broken>
  );
}

/** Render a long text block by block, so that no single step takes long. */
function Blocks({ text }: { text: string }) {
  const all = useMemo(() => segments(text).flatMap(inBlocks), [text]);
  const drawn = useGrowing(all.length, 1, 1);
  return (
    <div className={css.markdown} dir="auto">
      {all.slice(0, drawn).map(({ kind, text: block }, index) => (
        <Suspense key={index} fallback={<div className={css.unrendered}>{block}</div>}>
          {kind === "formula" ? (
            <Formula source={block} />
          ) : hasLongLine(block) ? (
            <Plain text={block} marked />
          ) : (
            <Rendered text={block} />
          )}
        </Suspense>
      ))}
    </div>
  );
}

const inBlocks = ({ kind, text }: Segment): Segment[] =>
  kind === "formula" ? [{ kind, text }] : blocks(text).map((block) => ({ kind, text: block }));

/** Tell whether a text can be parsed quickly: thousands of brackets, stars or nested quotes in a row take seconds. */
export function isReadable(text: string): boolean {
  return !/[[\]*_~`<!]{300}|(?:> ?){60}|(?:[*+-] ){60}|(?:\[[^[\]]{0,3}\]?){200}|(?:[*_]{1,3}[^\s*_]{1,3} ?){400}/.test(text);
}

/** The Markdown parser is quadratic in a paragraph's length: 100 kB of brackets in one took 30 s. */
function hasLongLine(block: string): boolean {
  return block.length > 5_000 && block.split("\n").some((line) => line.length > 5_000);
}

class Broken extends Component<{ instead: ReactNode; children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };
  static getDerivedStateFromError() {
    return { broken: true };
  }
  override render() {
    return this.state.broken ? this.props.instead : this.props.children;
  }
}
