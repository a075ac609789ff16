// The sources of an answer: what a provider cites beside the text, in the forms of OpenAI, Anthropic, Google and others.

import type { Interaction, Message } from "~/api/client";
import { isJson, type Json, textIn } from "./parts";

/** A page or a document; `quote` is the text that is cited from it. */
export type Source = { title: string; url: string | null; quote: string | null };

/** Return the sources that a message names, each once. */
export function sourcesOf(message: Message): Source[] {
  const parts = Array.isArray(message.content) ? message.content.filter(isJson) : [];
  return once([...listIn(message.annotations), ...parts.flatMap(({ citations, annotations }) => [...listIn(citations), ...listIn(annotations)])]);
}

/** Return the sources that the provider told beside the message: Google's grounding, Perplexity's search results. */
export function sourcesBeside(facts: Interaction["facts"]): Source[] {
  const { answer, choice } = (facts ?? {}) as Json;
  const [ofAnswer, ofChoice] = [answer, choice].map((told) => (isJson(told) ? told : {})) as [Json, Json];
  const grounding = isJson(ofChoice.groundingMetadata) ? ofChoice.groundingMetadata.groundingChunks : null;
  const results = listIn(ofAnswer.search_results);
  const pages = results.length ? results : listIn(ofAnswer.citations);
  return once([...pages, ...listIn(grounding).flatMap((chunk) => (isJson(chunk) ? (chunk.web ?? chunk.retrievedContext) : []))]);
}

const listIn = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function once(cited: unknown[]): Source[] {
  const found = new Map<string, Source>();
  for (const source of cited.flatMap(sourceIn)) {
    const key = `${source.url}\n${source.title}`;
    const earlier = found.get(key);
    if (!earlier?.quote) found.set(key, source);
  }
  return [...found.values()];
}

function sourceIn(cited: unknown): Source[] {
  if (typeof cited === "string") return cited ? [{ title: cited, url: cited, quote: null }] : [];
  if (!isJson(cited)) return [];
  const inner = [cited.url_citation, cited.file_citation].find(isJson) ?? cited;
  const url = textIn(inner.url) ?? textIn(inner.uri);
  const names = [inner.title, inner.document_title, inner.filename, url, inner.source, inner.file_id];
  const title = names.map(textIn).find(Boolean);
  return title ? [{ title, url, quote: textIn(inner.cited_text) ?? textIn(inner.content) }] : [];
}
