import { ExternalLink, ImageOff } from "lucide-react";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeHighlight from "rehype-highlight";
import remarkGfm from "remark-gfm";
import css from "./interaction.module.css";

const SAFE_LINK = /^(https?:|mailto:)/i;
const OWN_IMAGE = /^(\/images\/|data:image\/(png|jpeg|gif|webp);base64,)/i;

const COMPONENTS: Components = {
  a({ href, children }) {
    if (!href || !SAFE_LINK.test(href)) return <span>{children}</span>;
    return (
      <a href={href} title={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
        <ExternalLink size={11} aria-hidden className={css.outside} />
      </a>
    );
  },
  img({ src, alt }) {
    if (typeof src === "string" && OWN_IMAGE.test(src)) return <img src={src} alt={alt ?? ""} />;
    return (
      <span className={css.noImage} title={typeof src === "string" ? src : undefined}>
        <ImageOff size={12} aria-hidden /> {alt || "image"} (not loaded)
      </span>
    );
  },
  table: ({ children }) => (
    <div className={css.wideTable}>
      <table>{children}</table>
    </div>
  ),
};

export default function RenderedMarkdown({ text }: { text: string }) {
  return (
    <div className={css.markdown} dir="auto">
      <ReactMarkdown
        remarkPlugins={[remarkGfm]}
        rehypePlugins={[[rehypeHighlight, { detect: false }]]}
        components={COMPONENTS}
        // What is not safe is shown as text by the components above.
        urlTransform={(url) => url}
      >
        {text}
      </ReactMarkdown>
    </div>
  );
}
