// Says a message in words, by the rule of src/afterword/message_words.py; tests/message_words.json holds both to it.

import type { Interaction, Message } from "~/api/client";
import { jsonText } from "~/api/json";
import { completionMessage, type Json, type Part, partOf, partsOf, textIn } from "./parts";
import { callsOf, type ToolCall } from "./toolCalls";

const MAX_DEPTH = 50;

/** Return a message as text: a line or more for each part, such as `weather(city: "Paris")` or `[image]`. Reasoning is
 * left out, unless the message has nothing else. */
export function messageWords(message: Message): string {
  const parts = partsOf(message).filter(({ kind }) => kind !== "sealed");
  const words = parts.filter(({ kind }) => kind !== "reasoning").flatMap(partWords);
  words.push(...callsOf(message).map(callWords));
  return (words.length ? words : parts.map((part) => `[reasoning] ${"text" in part ? part.text : ""}`)).join("\n");
}

/** Return the prompt of an interaction in words: the user's last message, or the last one if none is the user's. */
export function promptWords({ messages, prompt }: Pick<Interaction, "messages" | "prompt">): string {
  const message = messages?.findLast(({ role }) => role === "user") ?? messages?.at(-1);
  return message ? messageWords(message) : prompt;
}

/** Return the completion of an interaction in words. */
export function completionWords(interaction: Pick<Interaction, "message" | "completion">): string {
  return messageWords(completionMessage(interaction));
}

function partWords(part: Part): string[] {
  switch (part.kind) {
    case "image":
      return ["[image]"];
    case "file":
      return [part.isSound ? part.says || "[audio]" : part.name === "file" ? "[file]" : part.name];
    case "sealed":
      return [];
    case "other":
      return otherWords(part.type, part.content);
    default:
      return [part.text || `[${part.kind}]`];
  }
}

/** Return the words of a part of another type: its title, then its texts. */
export function otherWords(type: string, content: unknown): string[] {
  const part = (content ?? {}) as Json;
  if (type === "document") return [textIn(part.title) ?? "[document]", ...documentTexts(part.source)];
  if (type === "search_result")
    return [textIn(part.title) ?? textIn(part.source) ?? "[search_result]", ...innerTexts(part.content)];
  if (type !== "tool_result") return [`[${type}]`];
  const inner = Array.isArray(part.content) ? part.content : [part.content ?? ""];
  return inner.map(partOf).flatMap((one) => {
    if (one.kind === "reasoning" || (one.kind === "text" && !one.text)) return [];
    return one.kind === "other" && one.type === "tool_result" ? [] : partWords(one);
  });
}

function documentTexts(source: unknown): string[] {
  const { type, data } = (source ?? {}) as Json;
  const text = type === "text" ? textIn(data) : null;
  return text === null ? [] : [text];
}

const innerTexts = (content: unknown): string[] =>
  (Array.isArray(content) ? content : []).flatMap((inner) => textIn((inner as Json | null)?.text) ?? []);

function callWords({ name, args }: ToolCall): string {
  const words =
    typeof args === "object" && args !== null && !Array.isArray(args)
      ? members(args as Json, 0)
      : args === null || args === undefined || args === ""
        ? ""
        : valueWords(args, 1);
  return `${name}(${words})`;
}

const members = (value: Json, depth: number): string =>
  Object.entries(value)
    .map(([key, inner]) => `${key}: ${valueWords(inner, depth + 1)}`)
    .join(", ");

function valueWords(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) return "…";
  if (typeof value === "string") return `"${value}"`;
  if (Array.isArray(value)) return `[${value.map((inner) => valueWords(inner, depth + 1)).join(", ")}]`;
  if (typeof value === "object" && value !== null) return `{${members(value as Json, depth)}}`;
  return jsonText(value) ?? "";
}
