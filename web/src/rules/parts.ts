// Splits a message into parts: texts, images, and any others that a provider sends. Tool calls are in toolCalls.ts.

import type { Interaction, Message } from "~/api/client";
import { jsonText, parseJson } from "~/api/json";

export type Part =
  | { kind: "text" | "reasoning" | "refusal"; text: string }
  | { kind: "image"; url: string }
  /** Reasoning that only the provider can read. */
  | { kind: "sealed" }
  /** Sound or a document: `url` if Afterword keeps it, `base64` if its bytes are included, `says` if its text is. */
  | { kind: "file"; name: string; url: string | null; base64: string | null; says: string | null; isSound: boolean }
  | { kind: "other"; type: string; content: unknown };

export type Json = Record<string, unknown>;

export const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
export const textIn = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** Return the completion as a message. */
export function completionMessage({ message, completion }: Pick<Interaction, "message" | "completion">): Message {
  return message ?? { role: "assistant", content: completion };
}

export function roleOf(message: Message): string {
  return textIn(message.role) ?? "unknown";
}

/** Return the parts of a message in order: first the reasoning, then the answer. */
export function partsOf(message: Message): Part[] {
  const thought = textIn(message.reasoning_content) ?? textIn(message.reasoning);
  const parts: Part[] = thought ? [{ kind: "reasoning", text: thought }] : [];
  if (hasSealedReasoning(message)) parts.push({ kind: "sealed" });
  const { content } = message;
  if (typeof content === "string") parts.push(...saidIn(content, roleOf(message)));
  else if (Array.isArray(content)) parts.push(...content.flatMap((one) => (isToolUse(one) || isHostedResult(one) ? [] : [partOf(one)])));
  else if (content !== null && content !== undefined) parts.push({ kind: "other", type: "content", content });
  const refusal = textIn(message.refusal);
  if (refusal) parts.push({ kind: "refusal", text: refusal });
  if (isJson(message.audio)) parts.push(audioOf(message.audio));
  // Image models return images beside the text.
  if (Array.isArray(message.images)) parts.push(...message.images.filter(isJson).map(partOf));
  return parts.filter((one) => one.kind !== "text" || one.text !== "");
}

/** Tell whether a provider kept reasoning to itself: Anthropic redacts it, OpenAI encrypts it. */
function hasSealedReasoning({ thinking_blocks, response_items }: Message): boolean {
  const has = (list: unknown, test: (one: Json) => boolean) => Array.isArray(list) && list.some((one) => isJson(one) && test(one));
  return (
    has(thinking_blocks, ({ type }) => type === "redacted_thinking") ||
    has(response_items, ({ type, summary }) => type === "reasoning" && Array.isArray(summary) && summary.length === 0)
  );
}

/** Return a message whose texts are joined where the provider parted them only to say what each of them cites. */
export function withJoinedTexts(message: Message): Message {
  if (!Array.isArray(message.content)) return message;
  const parts: unknown[] = [];
  for (const part of message.content) {
    const before = parts.at(-1);
    const areTexts = isJson(part) && isJson(before) && typeof part.text === "string" && typeof before.text === "string";
    if (areTexts && (Array.isArray(part.citations) || Array.isArray(before.citations)))
      parts[parts.length - 1] = { type: "text", text: `${before.text}${part.text}`, citations: [] };
    else parts.push(part);
  }
  return { ...message, content: parts };
}

/** Split a text in which a model writes its reasoning first, between <think> tags. */
function saidIn(content: string, role: string): Part[] {
  const end = role === "assistant" && /^\s*<think>/.test(content) ? content.indexOf("</think>") : -1;
  if (end < 0) return [{ kind: "text", text: content }];
  const thought = content.slice(content.indexOf("<think>") + 7, end).trim();
  const said: Part = { kind: "text", text: content.slice(end + 8).trimStart() };
  return thought ? [{ kind: "reasoning", text: thought }, said] : [said];
}

/** Anthropic's blocks that call a tool: the caller's, the provider's own, and a server's by the Model Context Protocol. */
const TOOL_USES: unknown[] = ["tool_use", "server_tool_use", "mcp_tool_use"];

export const isToolUse = (part: unknown): part is Json => isJson(part) && TOOL_USES.includes(part.type);

/** Tell whether a block is what one of Anthropic's own tools returned; it is shown with the call. */
const isHostedResult = (part: unknown): boolean => isJson(part) && (textIn(part.type)?.endsWith("_tool_result") ?? false);

export function partOf(given: unknown): Part {
  if (typeof given === "string") return { kind: "text", text: given };
  const part = isJson(given) ? given : {};
  const type = textIn(part.type) ?? "part";
  const other: Part = { kind: "other", type, content: given };
  switch (type) {
    case "refusal":
      return { kind: "refusal", text: textIn(part.refusal) ?? textIn(part.text) ?? "" };
    case "thinking":
    case "reasoning": {
      const text = textIn(part.thinking) ?? textIn(part.text) ?? textIn(part.reasoning);
      return text ? { kind: "reasoning", text } : other;
    }
    case "image_url":
    case "input_image":
    case "image": {
      const url = imageIn(part);
      return url ? { kind: "image", url } : other;
    }
    case "input_audio":
    case "audio":
      return audioOf(isJson(part.input_audio) ? part.input_audio : part);
    case "file":
    case "input_file":
      return fileOf(isJson(part.file) ? part.file : part);
    default:
      if ("fileData" in part) return fileOf(isJson(part.fileData) ? part.fileData : part);
      return typeof part.text === "string" ? { kind: "text", text: part.text } : other;
  }
}

function imageIn(part: Json): string | null {
  if (isJson(part.image_url)) return textIn(part.image_url.url);
  if (isJson(part.source)) {
    const { media_type, data } = part.source;
    return typeof data === "string" ? `data:${media_type};base64,${data}` : textIn(part.source.url);
  }
  return textIn(part.image_url) ?? textIn(part.url);
}

function audioOf(audio: Json): Part {
  const format = textIn(audio.format)?.replace(/[^a-z0-9]/gi, "");
  const name = format ? `audio.${format}` : "audio";
  return { kind: "file", name, ...placeOf(textIn(audio.data)), says: textIn(audio.transcript), isSound: true };
}

function fileOf(file: Json): Part {
  const sent = textIn(file.file_data) ?? textIn(file.data);
  const name = textIn(file.filename) ?? textIn(file.file_id) ?? textIn(file.fileUri) ?? "file";
  return { kind: "file", name, ...placeOf(sent), says: null, isSound: false };
}

/** Where the bytes of a file are: at the server, in the message, or elsewhere, from where nothing is loaded. */
function placeOf(sent: string | null): { url: string | null; base64: string | null } {
  if (sent && /^\/media\/[^/?#\\]+\/[0-9a-f]+\.[a-z0-9]{3,4}$/.test(sent) && !/^\/media\/(\.|%2e)+\//i.test(sent))
    return { url: sent, base64: null };
  return { url: null, base64: sent?.replace(/^data:[^,]{0,200},/, "") ?? null };
}

/** Parse a text as JSON; return the text if it is not JSON or very long. */
export function parsed(value: unknown): unknown {
  if (typeof value !== "string" || value.length > 200_000 || !/^\s*[[{]/.test(value)) return value;
  try {
    return parseJson(value);
  } catch {
    return value;
  }
}

/** Return a value as readable text: texts unchanged, other values as indented JSON. */
export function pretty(value: unknown): string {
  return typeof value === "string" ? value : (jsonText(value, 2) ?? "");
}

/** Return a message as one text for the raw view and for copying; parts that are not text become JSON. */
export function rawText(message: Message): string {
  const { content, role: _, ...rest } = message;
  const parts = Array.isArray(content) ? content : content === null || content === undefined ? [] : [content];
  const texts = parts.map((part) => (isJson(part) && typeof part.text === "string" ? part.text : pretty(part)));
  const beside = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  if (Object.keys(beside).length) texts.push(pretty(beside));
  return texts.join("\n\n");
}

/** Return a whole conversation as one text, each message under its role. */
export function wholeText(messages: readonly Message[]): string {
  return messages.map((message) => `## ${roleOf(message)}\n\n${rawText(message)}`).join("\n\n");
}

/** Tell whether an image may be shown: only images of this server, or inline ones of a safe type. */
export function isOwnImage(url: string): boolean {
  if (/^data:image\/(png|jpeg|gif|webp);base64,/i.test(url)) return true;
  return /^\/images\/[^/?#\\]+\/[\w-]+\.(png|jpe?g|gif|webp)$/.test(url) && !/^\/images\/(\.|%2e)+\//i.test(url);
}

/** Return the safe address of a link; null if the link must stay plain text. */
export function safeTarget(href: string | undefined): string | null {
  if (!href || !/^(https?:\/\/|mailto:)/i.test(href)) return null;
  return URL.canParse(href) ? new URL(href).href : null;
}

/** Return the host of a link if its text names another host; else null. */
export function otherHost(text: string, href: string): string | null {
  const named = /^(?:https?:\/\/)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?=$|[/:?#])/i.exec(text.trim())?.[1]?.toLowerCase();
  const host = new URL(href).hostname;
  return named && host && named.replace(/^www\./, "") !== host.replace(/^www\./, "") ? host : null;
}
