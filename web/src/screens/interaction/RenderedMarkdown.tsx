import type { Element, ElementContent, Root } from "hast";
import { ImageOff } from "lucide-react";
import { memo, type ReactNode } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeHighlight from "rehype-highlight";
import remarkGfm from "remark-gfm";
import { CopyButton } from "~/ui";
import { asWritten } from "./asWritten";
import { Formula } from "./Formula";
import { Image } from "./Image";
import css from "./conversation.module.css";
import { isOwnImage, otherHost, safeTarget } from "~/rules/parts";

/** Highlighting more characters takes longer than a frame. */
const MOST_COLOURED = 12_000;

const COMPONENTS: Components = {
  a: ({ href, node, children }) => (
    <SafeLink href={href} text={node ? textOf(node) : ""}>
      {children}
    </SafeLink>
  ),
  img: ({ src, alt }) => <Shown src={typeof src === "string" ? src : ""} alt={alt ?? ""} />,
  pre: ({ node, children }) => <Code node={node}>{children}</Code>,
  table: ({ children }) => (
    <div className={css.wideTable} tabIndex={0} role="region" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
  // Headings of a text rank below those of the page.
  h1: ({ children }) => <h4 data-level="1">{children}</h4>,
  h2: ({ children }) => <h4 data-level="2">{children}</h4>,
  h3: ({ children }) => <h5>{children}</h5>,
  h4: ({ children }) => <h5>{children}</h5>,
  h5: ({ children }) => <h6>{children}</h6>,
  h6: ({ children }) => <h6>{children}</h6>,
  span: ({ node, children, ...rest }) => {
    const source = node?.properties.dataFormula;
    return typeof source === "string" ? <Formula source={source} /> : <span {...rest}>{children}</span>;
  },
  input: ({ checked }) => <span role="img" aria-label={checked ? "done" : "to do"}>{checked ? "☑" : "☐"}</span>,
};

/** Markdown as elements. It is in its own file because the Markdown parser and the highlighter are large. */
export default memo(function RenderedMarkdown({ text }: { text: string }) {
  return (
    <ReactMarkdown
      remarkPlugins={[[remarkGfm, { singleTilde: false }], asWritten]}
      rehypePlugins={[plainWhereLong, [rehypeHighlight, { detect: false }]]}
      components={COMPONENTS}
      // The components above show unsafe addresses as text.
      urlTransform={(url) => url}
    >
      {text}
    </ReactMarkdown>
  );
});

function SafeLink({ href, text, children }: { href: string | undefined; text: string; children: ReactNode }) {
  const target = safeTarget(href);
  if (!target) return <span title={href ? `Not a link: ${href.slice(0, 300)}` : undefined}>{children}</span>;
  const other = otherHost(text, target);
  return (
    <>
      <a href={target} title={target} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
      {other && <small className={css.other}> (leads to {other})</small>}
    </>
  );
}

function Shown({ src, alt }: { src: string; alt: string }) {
  if (isOwnImage(src)) return <Image url={src} alt={alt} />;
  const address = src.length > 200 ? `${src.slice(0, 200)}…` : src;
  return (
    <SafeLink href={src} text="">
      <span className={css.noImage}>
        <ImageOff size={12} aria-hidden /> {alt ? `${alt}: ` : ""}
        {address}
      </span>
    </SafeLink>
  );
}

function Code({ node, children }: { node: Element | undefined; children: ReactNode }) {
  const code = node?.children[0];
  const language = code ? languageOf(code) : null;
  return (
    <div className={css.code}>
      <div>
        <span>{language}</span>
        <CopyButton label="Copy this code" text={() => (node ? textOf(node) : "")} />
      </div>
      <pre tabIndex={0}>{children}</pre>
    </div>
  );
}

function languageOf(code: ElementContent): string | null {
  const names = code.type === "element" ? code.properties.className : null;
  const name = Array.isArray(names) ? names.map(String).find((one) => one.startsWith("language-")) : undefined;
  return name?.slice(9, 40) ?? null;
}

function textOf(node: Root | ElementContent | Root["children"][number]): string {
  if (node.type === "text") return node.value;
  return "children" in node ? node.children.map(textOf).join("") : "";
}

/** Remove the language of code that is too long to highlight in a frame. */
function plainWhereLong() {
  return (tree: Root) => {
    for (const pre of tree.children) {
      const code = pre.type === "element" && pre.tagName === "pre" ? pre.children[0] : undefined;
      if (code?.type === "element" && textOf(code).length > MOST_COLOURED) delete code.properties.className;
    }
  };
}
