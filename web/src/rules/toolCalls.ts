// The tools that a message calls, and their results: OpenAI's, Anthropic's, and those that a provider runs itself.

import type { Interaction, Message } from "~/api/client";
import { jsonText } from "~/api/json";
import { isJson, isToolUse, type Json, type Part, parsed, partsOf, textIn } from "./parts";

export type ToolCall = {
  id: string | null;
  name: string;
  args: unknown;
  /** The result that stands in the same message, because the provider ran the tool. */
  hosted?: ToolResult;
};

export type ToolResult = {
  /** The result in a line. */
  line: string;
  /** The parts of a result that is a message; of other results, the value. */
  parts: Part[] | null;
  value: unknown;
  isError: boolean;
};

/** A message with the results of its tool calls: one message for each call, null without one. */
export type Turn = { message: Message; results: (Message | null)[] };

/** Return the tools that a message calls. */
export function callsOf(message: Message): ToolCall[] {
  const { content, provider_blocks, response_items } = message;
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.filter(isJson).map(callOf) : [];
  if (isJson(message.function_call)) calls.push(callOf({ function: message.function_call }));
  for (const blocks of [content, provider_blocks])
    if (Array.isArray(blocks)) calls.push(...blocks.filter(isToolUse).map((block) => withHostedResult(callOf(block), blocks)));
  if (Array.isArray(response_items)) calls.push(...response_items.filter(isHostedCall).map(hostedCall));
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

/** Add the result that Anthropic's own tools have among the blocks of the message. */
function withHostedResult(call: ToolCall, blocks: unknown[]): ToolCall {
  const block = blocks.find((one) => isJson(one) && one.tool_use_id === call.id && call.id !== null) as Json | undefined;
  if (!block) return call;
  const { content } = block;
  const isError = block.is_error === true || (isJson(content) && textIn(content.error_code) !== null);
  return { ...call, hosted: hostedResult(content, isError) };
}

/** Tell whether an item of OpenAI's Responses API calls a tool that the provider runs; the caller's have a `call_id`. */
const isHostedCall = (item: unknown): item is Json =>
  isJson(item) && (textIn(item.type)?.endsWith("_call") ?? false) && !("call_id" in item);

const ITEM_FACTS = new Set(
  "id type status name server_label container_id output outputs results result sources error".split(" "),
);

function hostedCall(item: Json): ToolCall {
  const action = isJson(item.action) ? item.action : {};
  const members = Object.entries(isJson(item.action) ? item.action : item).filter(
    ([key, value]) => !ITEM_FACTS.has(key) && value !== null && value !== undefined,
  );
  const result = item.error ?? item.output ?? item.outputs ?? item.results ?? action.sources;
  const isError = Boolean(item.error) || item.status === "failed";
  return {
    id: textIn(item.id),
    name: textIn(item.name) ?? (item.type as string).replace(/_call$/, ""),
    args: parsed(item.arguments ?? Object.fromEntries(members)),
    ...(result !== null && result !== undefined ? { hosted: hostedResult(parsed(result), isError) } : {}),
  };
}

const hostedResult = (value: unknown, isError: boolean): ToolResult => ({
  line: inWords(value) || summary(value),
  parts: null,
  value: withoutCiphers(value),
  isError,
});

/** Return the result that a message brings. */
export function resultOf(message: Message): ToolResult {
  const parts = partsOf(message);
  const isError = message.is_error === true;
  if (parts.every(({ kind }) => kind === "text")) {
    const value = parsed(parts.map((part) => ("text" in part ? part.text : "")).join("\n\n"));
    return { line: summary(value), parts: null, value, isError };
  }
  const line = parts.map((part) => ("text" in part ? part.text : `[${part.kind === "file" ? part.name : part.kind}]`)).join(" ");
  return { line: summary(line), parts, value: message.content, isError };
}

/** The members of a result of which the first one says what it is. */
const WORDS = ["text", "title", "stdout", "stderr", "logs", "filename", "error_code", "message", "url", "name"];

/** Return what a result says in a line: titles of pages, the output of code, texts, the code of an error. */
function inWords(value: unknown, most = 160): string {
  if (typeof value === "string") return value.slice(0, most).trim();
  if (Array.isArray(value)) {
    const words = value.slice(0, 20).map((one) => inWords(one));
    return words.every(Boolean) ? shortened(words.join(", "), most) : "";
  }
  if (!isJson(value)) return "";
  const word = WORDS.map((name) => textIn(value[name])).find(Boolean);
  return word ? shortened(word.trim(), most) : inWords(value.content, most);
}

/** Leave out what only the provider can read. */
function withoutCiphers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCiphers);
  if (!isJson(value)) return value;
  const members = Object.entries(value).filter(([key]) => !key.startsWith("encrypted_"));
  return Object.fromEntries(members.map(([key, inner]) => [key, withoutCiphers(inner)]));
}

export type Tool = { name: string; description: string | null; takes: unknown };

/** Return the tools that a model could call, from the parameters of its call. */
export function toolsOf(parameters: Interaction["parameters"]): Tool[] {
  const { tools, functions } = (parameters ?? {}) as Json;
  return [tools, functions].flatMap((given) => (Array.isArray(given) ? given.filter(isJson) : [])).map((tool) => {
    const named = [tool.function, tool.custom, tool].find((one) => isJson(one) && textIn(one.name)) as Json | undefined;
    return {
      name: textIn(named?.name) ?? hostedName(tool),
      description: textIn(named?.description),
      takes: named?.parameters ?? named?.input_schema ?? (named ? undefined : tool),
    };
  });
}

/** Return the name of a provider's own tool: its type, with the server that an MCP tool is at, or Google's name of it. */
function hostedName(tool: Json): string {
  const type = textIn(tool.type);
  return type ? [type, textIn(tool.server_label)].filter(Boolean).join(" ") : (Object.keys(tool)[0] ?? "tool");
}

/** Return messages with the results of tools assigned to their calls. Some frameworks reuse an id in a later turn, so a
 * result belongs to the last call before it. */
export function turns(messages: readonly Message[]): Turn[] {
  const found: Turn[] = [];
  const open = new OpenCalls<Turn>();
  for (const message of messages) {
    const call = open.answered(message);
    if (call) {
      call.owner.results[call.at] = message;
      continue;
    }
    const turn: Turn = { message, results: callsOf(message).map(() => null) };
    open.add(message, turn);
    found.push(turn);
  }
  return found;
}

/** The calls that have no result yet, with what they belong to. */
class OpenCalls<Owner> {
  private readonly open = new Map<string, { owner: Owner; at: number }>();

  add(message: Message, owner: Owner): void {
    for (const [at, { id, name, hosted }] of callsOf(message).entries())
      if (!hosted) this.open.set(id ?? `function ${name}`, { owner, at });
  }

  /** Return the call that a message answers, and close it. */
  answered(message: Message): { owner: Owner; at: number } | undefined {
    const key = answeredBy(message);
    const call = key === null ? undefined : this.open.get(key);
    if (call) this.open.delete(key as string);
    return call;
  }
}

/** Return the id of the call that a message answers; before calls had ids, this was the function's name. */
function answeredBy(message: Message): string | null {
  if (message.role === "tool") return textIn(message.tool_call_id);
  return message.role === "function" ? `function ${textIn(message.name) ?? ""}` : null;
}

type ThreadTurn = { completion_id: string; messages: readonly Message[]; answer: Message };

/** A turn of a thread: the messages to show, and the results of the tools that its completion calls. */
export type ThreadedTurn = { messages: Message[]; results: (Message | null)[] };

/**
 * Return the turns of a session, each result at the completion that called its tool. The result comes with a later turn,
 * among the messages that are new there.
 */
export function threaded(turns: readonly ThreadTurn[]): Map<string, ThreadedTurn> {
  const found = new Map<string, ThreadedTurn>();
  const open = new OpenCalls<ThreadedTurn>();
  for (const { completion_id, messages, answer } of turns) {
    const own = new OpenCalls<null>();
    const turn: ThreadedTurn = { messages: [], results: callsOf(answer).map(() => null) };
    for (const message of messages) {
      // A call among the messages of the same turn is nearer than one of an earlier completion.
      const call = own.answered(message) ? undefined : open.answered(message);
      if (call) call.owner.results[call.at] = message;
      else turn.messages.push(message);
      own.add(message, null);
    }
    open.add(answer, turn);
    found.set(completion_id, turn);
  }
  return found;
}

/** Return a value in one line; the arguments of a call as `city: "Paris", days: 3`. */
export function summary(value: unknown, most = 160): string {
  const text = isJson(value)
    ? Object.entries(value)
        .map(([key, inner]) => `${key}: ${inLine(inner, most)}`)
        .join(", ")
    : inLine(value, most);
  return shortened(text, most);
}

const shortened = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

function inLine(value: unknown, most: number): string {
  if (value === null || value === undefined) return "";
  return jsonText(typeof value === "string" ? value.slice(0, most) : value) ?? "";
}
