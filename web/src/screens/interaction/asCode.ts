// A call as code that repeats it, for a shell or for Python.

import type { Interaction, Message } from "~/api/client";
import { jsonText } from "~/api/json";

/** The data to repeat a call: URL, model, messages and parameters. */
export type Call = { url: string; model: string; messages: readonly Message[]; parameters: Record<string, unknown> };

/** Parameters that the openai client takes by name. Other parameters go in its `extra_body`. */
const NAMED = new Set([
  "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
  "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort", "response_format",
  "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_logprobs",
  "top_p", "user", "verbosity", "web_search_options",
]);

/** Return the call through this server that produced, or would produce, an interaction. */
export function callOf(interaction: Interaction, project: string, origin: string): Call {
  const { model, messages, prompt, parameters } = interaction;
  return {
    url: `${origin}/api/v1`,
    model: `${project}/${model ?? "MODEL"}`,
    messages: messages ?? [{ role: "user", content: prompt }],
    parameters: parameters ?? {},
  };
}

/** Return a call as a curl command. The key is read from the environment. */
export function asCurl({ url, model, messages, parameters }: Call): string {
  const body = jsonText({ model, messages, ...parameters }, 2) ?? "";
  return [
    `curl ${inShell(`${url}/chat/completions`)} \\`,
    `  -H "Authorization: Bearer $AFTERWORD_API_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${inShell(body)}`,
  ].join("\n");
}

/** Return a call as Python with the openai client. The key is read from the environment. */
export function asPython({ url, model, messages, parameters }: Call): string {
  const named = Object.entries(parameters).filter(([name]) => NAMED.has(name));
  const others = Object.entries(parameters).filter(([name]) => !NAMED.has(name));
  const members = [["model", model], ["messages", messages], ...named, ...(others.length ? [["extra_body", Object.fromEntries(others)]] : [])];
  return [
    "import os",
    "",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${inPython(url)}, api_key=os.environ["AFTERWORD_API_KEY"])`,
    "answer = client.chat.completions.create(",
    ...members.map(([name, value]) => `    ${name as string}=${inPython(value, 4)},`),
    ")",
    "print(answer.choices[0].message)",
    "",
  ].join("\n");
}

/** Quote a text for a shell. A single quote in it ends the quotes, is escaped, and begins them again. */
const inShell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Return a value as a literal of Python, in lines that are indented by `indent`. */
export function inPython(value: unknown, indent = 0): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  // JSON's string literals are valid in Python, too.
  if (typeof value !== "object") return jsonText(value) ?? "None";
  const isArray = Array.isArray(value);
  const members = isArray
    ? value.map((member) => inPython(member, indent + 4))
    : Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${inPython(member, indent + 4)}`);
  const [open, close] = isArray ? "[]" : "{}";
  if (!members.length) return `${open}${close}`;
  const inner = " ".repeat(indent + 4);
  return `${open}\n${members.map((member) => `${inner}${member},\n`).join("")}${" ".repeat(indent)}${close}`;
}
