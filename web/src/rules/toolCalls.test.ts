import { expect, it } from "vitest";
import { callsOf, resultOf, threaded, toolsOf } from "./toolCalls";

const hosted = (message: Record<string, unknown>) => callsOf({ role: "assistant", content: null, ...message }).map(({ hosted }) => hosted);

it("gives the tools that Anthropic runs their results", () => {
  const use = (id: string) => ({ type: "server_tool_use", id, name: "web_search", input: { query: "heron" } });
  const result = (tool_use_id: string, content: unknown) => ({ type: "web_search_tool_result", tool_use_id, content });
  const page = { type: "web_search_result", url: "https://birds.example", title: "Birds", encrypted_content: "xxx" };
  const failed = { type: "web_search_tool_result_error", error_code: "max_uses_exceeded" };
  const provider_blocks = [use("a"), use("b"), use("c"), result("b", failed), result("a", [page])];
  const [first, second, third] = hosted({ provider_blocks });
  expect(first).toEqual({
    line: "Birds",
    parts: null,
    value: [{ type: "web_search_result", url: "https://birds.example", title: "Birds" }],
    isError: false,
  });
  expect(second).toMatchObject({ line: "max_uses_exceeded", isError: true });
  expect(third).toBeUndefined();
  expect(hosted({ content: [use("a"), result("a", { type: "code_execution_result", stdout: "4\n" })] })[0]?.line).toBe("4");
});

it("gives the tools that OpenAI runs their results", () => {
  const response_items = [
    { id: "ws", type: "web_search_call", action: { type: "search", query: "q", sources: [{ type: "url", url: "https://x.example" }] } },
    { id: "ci", type: "code_interpreter_call", code: "print(1)", outputs: [{ type: "logs", logs: "1\n" }] },
    { id: "mcp", type: "mcp_call", name: "find", arguments: "{}", output: null, error: { type: "mcp_error", message: "Gone" } },
    { id: "ig", type: "image_generation_call", status: "completed", revised_prompt: "A heron" },
    { id: "cu", type: "computer_call", call_id: "c", action: {} },
    null,
  ];
  expect(hosted({ response_items }).map((result) => [result?.line, result?.isError])).toEqual([
    ["https://x.example", false],
    ["1", false],
    ["Gone", true],
    [undefined, undefined],
  ]);
  expect(callsOf({ role: "assistant", response_items })[3]).toEqual({ id: "ig", name: "image_generation", args: { revised_prompt: "A heron" } });
});

it("shows images in results, and errors as such", () => {
  const content = [{ type: "text", text: "A map" }, { type: "image_url", image_url: { url: "/images/p/1.png" } }];
  expect(resultOf({ role: "tool", content })).toMatchObject({ line: '"A map [image]"', parts: [{ kind: "text" }, { kind: "image" }] });
  expect(resultOf({ role: "tool", content: '{"a": 1}', is_error: true })).toEqual({
    line: "a: 1",
    parts: null,
    value: { a: 1 },
    isError: true,
  });
});

it("names the tools that a provider runs", () => {
  const tools = [{ googleSearch: {} }, { type: "mcp", server_label: "hotels" }, { type: "web_search" }, { type: "x", name: "look" }];
  expect(toolsOf({ tools }).map(({ name }) => name)).toEqual(["googleSearch", "mcp hotels", "web_search", "look"]);
});

const calling = (...ids: string[]) => ({
  role: "assistant",
  content: null,
  tool_calls: ids.map((id) => ({ id, function: { name: "look", arguments: "{}" } })),
});
const result = (tool_call_id: string) => ({ role: "tool", tool_call_id, content: `of ${tool_call_id}` });
const done = { role: "assistant", content: "Done." };

it("puts results of a thread to the completions that called their tools", () => {
  const user = { role: "user", content: "Go" };
  const thread = threaded([
    { completion_id: "1", messages: [user], answer: calling("a", "b") },
    { completion_id: "2", messages: [result("b"), user], answer: calling("a") },
    { completion_id: "3", messages: [result("a"), result("unknown"), calling("a"), result("a")], answer: done },
  ]);
  expect([...thread.values()]).toEqual([
    { messages: [user], results: [null, result("b")] },
    { messages: [user], results: [result("a")] },
    { messages: [result("unknown"), calling("a"), result("a")], results: [] },
  ]);
});
