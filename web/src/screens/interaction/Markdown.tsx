// A model's text as Markdown. It is hostile until proven otherwise: no HTML, no image from elsewhere, no link that runs
// anything.

import { lazy, Suspense } from "react";
import { Plain } from "./Plain";

const Rendered = lazy(() => import("./RenderedMarkdown"));

/** Above it, a text is shown as it is: rendering would freeze the page. */
export const MOST_RENDERED = 100_000;

export function Markdown({ text }: { text: string }) {
  if (text.length > MOST_RENDERED) return <Plain text={text} />;
  return (
    <Suspense fallback={<Plain text={text} soft />}>
      <Rendered text={text} />
    </Suspense>
  );
}
