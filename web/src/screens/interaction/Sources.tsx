import type { Source } from "~/rules/sources";
import { safeTarget } from "~/rules/parts";
import css from "./sources.module.css";

/** What an answer cites: pages as links, documents by their title, each with the cited text. */
export function Sources({ sources }: { sources: readonly Source[] }) {
  if (!sources.length) return null;
  return (
    <section className={css.sources} aria-label="Sources">
      <h4>Sources</h4>
      <ol>
        {sources.map((source, index) => (
          <li key={index}>
            <SourceTitle {...source} />
            {source.quote && <q dir="auto">{source.quote}</q>}
          </li>
        ))}
      </ol>
    </section>
  );
}

function SourceTitle({ title, url }: Source) {
  const target = safeTarget(url ?? undefined);
  if (!target) return <bdi>{title}</bdi>;
  const { host } = new URL(target);
  return (
    <>
      <a href={target} title={target} target="_blank" rel="noopener noreferrer nofollow">
        <bdi>{title}</bdi>
      </a>{" "}
      {host && !title.includes(host) && <small>{host}</small>}
    </>
  );
}
