// What a message is made of: texts, images, tool calls, and whatever else a provider thought of.

import type { Message } from "~/api/client";

export type Part =
  | { kind: "text"; text: string }
  | { kind: "refusal"; text: string }
  | { kind: "reasoning"; text: string }
  | { kind: "image"; url: string }
  | { kind: "other"; type: string; content: unknown };

export type ToolCall = { id: string; name: string; arguments: string; result?: string };

/** Return the parts of a message in their order, reasoning first. */
export function partsOf(message: Message): Part[] {
  const parts: Part[] = [];
  for (const field of ["reasoning_content", "reasoning"]) {
    const text = message[field];
    if (typeof text === "string" && text) parts.push({ kind: "reasoning", text });
  }
  const { content } = message;
  if (typeof content === "string") parts.push({ kind: "text", text: content });
  else if (Array.isArray(content)) parts.push(...content.map(part));
  else if (content !== null && content !== undefined) parts.push({ kind: "other", type: "content", content });
  if (typeof message.refusal === "string" && message.refusal) parts.push({ kind: "refusal", text: message.refusal });
  return parts.filter((one) => one.kind !== "text" || one.text !== "");
}

function part(given: unknown): Part {
  const one = (given ?? {}) as Record<string, unknown>;
  const type = typeof one.type === "string" ? one.type : "part";
  if (typeof one.text === "string") return { kind: "text", text: one.text };
  if (type === "refusal" && typeof one.refusal === "string") return { kind: "refusal", text: one.refusal };
  if (type === "thinking" && typeof one.thinking === "string") return { kind: "reasoning", text: one.thinking };
  const image = one.image_url ?? (type === "image" ? one.url : undefined);
  const url = typeof image === "object" && image !== null ? (image as { url?: unknown }).url : image;
  if (typeof url === "string") return { kind: "image", url };
  return { kind: "other", type, content: one };
}

/** Return the calls of tools that a message makes, with what each answered in the messages after it. */
export function toolCallsOf(message: Message, after: readonly Message[]): ToolCall[] {
  const calls = Array.isArray(message.tool_calls) ? (message.tool_calls as Record<string, unknown>[]) : [];
  return calls.map((call) => {
    const asked = (call.function ?? call.custom ?? {}) as Record<string, unknown>;
    const id = typeof call.id === "string" ? call.id : "";
    const answer = after.find((one) => one.role === "tool" && one.tool_call_id === id);
    return {
      id,
      name: typeof asked.name === "string" ? asked.name : "tool",
      arguments: text(asked.arguments ?? asked.input),
      result: answer && id ? text(textOf(answer)) : undefined,
    };
  });
}

/** Return the texts of a message, one below the other. */
export function textOf(message: Message): string {
  return partsOf(message)
    .flatMap((one) => ("text" in one ? [one.text] : []))
    .join("\n");
}

/** Return messages without the answers of tools that are shown with their calls. */
export function withoutResults(messages: readonly Message[]): Message[] {
  const called = new Set(messages.flatMap((one) => toolCallsOf(one, []).map(({ id }) => id)).filter(Boolean));
  return messages.filter((one) => one.role !== "tool" || !called.has(String(one.tool_call_id)));
}

/** Return JSON with indents where a text is JSON; else the text. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}

/** Only images of this server, or inline ones of a kind that runs nothing, are loaded. */
export function isOwnImage(url: string): boolean {
  return url.startsWith("/images/") || /^data:image\/(png|jpeg|gif|webp);base64,/i.test(url);
}
