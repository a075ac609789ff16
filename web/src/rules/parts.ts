// Splits a message into parts: texts, images, tool calls, and any others that a provider sends.

import type { Interaction, Message } from "~/api/client";
import { jsonText, parseJson } from "~/api/json";

export type Part =
  | { kind: "text" | "reasoning" | "refusal"; text: string }
  | { kind: "image"; url: string }
  /** Sound or a document: `url` if Afterword keeps it, `base64` if its bytes are included, `says` if its text is. */
  | { kind: "file"; name: string; url: string | null; base64: string | null; says: string | null; isSound: boolean }
  | { kind: "other"; type: string; content: unknown };

export type ToolCall = { id: string | null; name: string; args: unknown };

/** A message with the results of its tool calls: one message for each call, null without one. */
export type Turn = { message: Message; results: (Message | null)[] };

type Json = Record<string, unknown>;

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const textIn = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

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
  const { content } = message;
  if (typeof content === "string") parts.push(...saidIn(content, roleOf(message)));
  else if (Array.isArray(content)) parts.push(...content.flatMap((one) => (isToolUse(one) ? [] : [partOf(one)])));
  else if (content !== null && content !== undefined) parts.push({ kind: "other", type: "content", content });
  const refusal = textIn(message.refusal);
  if (refusal) parts.push({ kind: "refusal", text: refusal });
  if (isJson(message.audio)) parts.push(audioOf(message.audio));
  // Image models return images beside the text.
  if (Array.isArray(message.images)) parts.push(...message.images.filter(isJson).map(partOf));
  return parts.filter((one) => one.kind !== "text" || one.text !== "");
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

const isToolUse = (part: unknown): part is Json => isJson(part) && TOOL_USES.includes(part.type);

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
  const name = textIn(file.filename) ?? textIn(file.file_id) ?? "file";
  return { kind: "file", name, ...placeOf(sent), says: null, isSound: false };
}

/** Where the bytes of a file are: at the server, in the message, or elsewhere, from where nothing is loaded. */
function placeOf(sent: string | null): { url: string | null; base64: string | null } {
  if (sent && /^\/media\/[^/?#\\]+\/[0-9a-f]+\.[a-z0-9]{3,4}$/.test(sent) && !/^\/media\/(\.|%2e)+\//i.test(sent))
    return { url: sent, base64: null };
  return { url: null, base64: sent?.replace(/^data:[^,]{0,200},/, "") ?? null };
}

/** Return the tools that a message calls. */
export function callsOf(message: Message): ToolCall[] {
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.filter(isJson).map(callOf) : [];
  if (isJson(message.function_call)) calls.push(callOf({ function: message.function_call }));
  for (const blocks of [message.content, message.provider_blocks])
    if (Array.isArray(blocks)) calls.push(...blocks.filter(isToolUse).map(callOf));
  return calls;
}

function callOf(call: Json): ToolCall {
  const named = [call.function, call.custom, call].find((one) => isJson(one) && textIn(one.name)) as Json | undefined;
  return {
    id: textIn(call.id),
    name: textIn(named?.name) ?? textIn(call.type) ?? "tool",
    args: parsed(named?.arguments ?? named?.input ?? null),
  };
}

export type Tool = { name: string; description: string | null; takes: unknown };

/** Return the tools that a model could call, from the parameters of its call. */
export function toolsOf(parameters: Interaction["parameters"]): Tool[] {
  const { tools, functions } = (parameters ?? {}) as Json;
  return [tools, functions].flatMap((given) => (Array.isArray(given) ? given.filter(isJson) : [])).map((tool) => {
    const named = [tool.function, tool.custom, tool].find((one) => isJson(one) && textIn(one.name)) as Json | undefined;
    return {
      name: textIn(named?.name) ?? textIn(tool.type) ?? "tool",
      description: textIn(named?.description),
      takes: named?.parameters ?? named?.input_schema ?? (named ? undefined : tool),
    };
  });
}

/** Return messages with the results of tools assigned to their calls. Some frameworks reuse an id in a later turn, so a
 * result belongs to the last call before it. */
export function turns(messages: readonly Message[]): Turn[] {
  const found: Turn[] = [];
  const open = new Map<string, { turn: Turn; at: number }>();
  for (const message of messages) {
    const key = answeredBy(message);
    const call = key === null ? undefined : open.get(key);
    if (call) {
      call.turn.results[call.at] = message;
      open.delete(key as string);
      continue;
    }
    const calls = callsOf(message);
    const turn: Turn = { message, results: calls.map(() => null) };
    for (const [at, { id, name }] of calls.entries()) open.set(id ?? `function ${name}`, { turn, at });
    found.push(turn);
  }
  return found;
}

/** Return the id of the call that a message answers; before calls had ids, this was the function's name. */
function answeredBy(message: Message): string | null {
  if (message.role === "tool") return textIn(message.tool_call_id);
  return message.role === "function" ? `function ${textIn(message.name) ?? ""}` : null;
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

/** Return the arguments of a call in one line: `city: "Paris", days: 3`. */
export function summary(args: unknown, most = 160): string {
  const text = isJson(args)
    ? Object.entries(args)
        .map(([key, value]) => `${key}: ${inLine(value, most)}`)
        .join(", ")
    : inLine(args, most);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function inLine(value: unknown, most: number): string {
  if (value === null || value === undefined) return "";
  return jsonText(typeof value === "string" ? value.slice(0, most) : value) ?? "";
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
