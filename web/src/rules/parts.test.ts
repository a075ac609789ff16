import { expect, it } from "vitest";
import { completionMessage, isOwnImage, otherHost, partsOf, pretty, rawText, safeTarget, withJoinedTexts } from "./parts";
import { callsOf, summary, turns } from "./toolCalls";

it("has texts and images in their order, in all forms", () => {
  const content = [
    { type: "text", text: "Look" },
    { type: "image_url", image_url: { url: "/images/p/1.png" } },
    { type: "image_url", image_url: "/images/p/2.png" },
    { type: "image", url: "/images/p/3.png" },
    { type: "image", source: { type: "base64", media_type: "image/png", data: "AA" } },
    "bare",
  ];
  expect(partsOf({ role: "user", content })).toEqual([
    { kind: "text", text: "Look" },
    { kind: "image", url: "/images/p/1.png" },
    { kind: "image", url: "/images/p/2.png" },
    { kind: "image", url: "/images/p/3.png" },
    { kind: "image", url: "data:image/png;base64,AA" },
    { kind: "text", text: "bare" },
  ]);
  expect(partsOf({ role: "assistant", content: null })).toEqual([]);
  expect(partsOf({ role: "assistant", content: "" })).toEqual([]);
});

it("has the images that a model answered beside its text", () => {
  const images = [{ type: "image_url", image_url: { url: "/images/p/1.png" } }, null];
  expect(partsOf({ role: "assistant", content: "A heron.", images })).toEqual([
    { kind: "text", text: "A heron." },
    { kind: "image", url: "/images/p/1.png" },
  ]);
});

it("keeps all digits of what a tool was called with", () => {
  const tool_calls = [{ id: "c", function: { name: "find", arguments: '{"order": 107505301260286111}' } }];
  const [call] = callsOf({ role: "assistant", tool_calls });
  expect(summary(call?.args)).toBe("order: 107505301260286111");
  expect(pretty(call?.args)).toContain("107505301260286111");
});

it("names sound, files and what nobody knows", () => {
  const content = [
    { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } },
    { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" } },
    { type: "input_audio", input_audio: { data: "/media/p/1.mp3", format: "mp3" } },
    { type: "input_file", filename: "b.pdf", file_data: "/media/p/2.pdf" },
    { type: "video", video: 1 },
    17,
  ];
  expect(partsOf({ role: "user", content })).toEqual([
    { kind: "file", name: "audio.wav", url: null, base64: "AAAA", says: null, isSound: true },
    { kind: "file", name: "a.pdf", url: null, base64: "BBBB", says: null, isSound: false },
    { kind: "file", name: "audio.mp3", url: "/media/p/1.mp3", base64: null, says: null, isSound: true },
    { kind: "file", name: "b.pdf", url: "/media/p/2.pdf", base64: null, says: null, isSound: false },
    { kind: "other", type: "video", content: { type: "video", video: 1 } },
    { kind: "other", type: "part", content: 17 },
  ]);
});

it("tells reasoning apart, also in the text, and marks refusals", () => {
  const kinds = (message: Record<string, unknown>) => partsOf({ role: "assistant", ...message }).map(({ kind }) => kind);
  expect(kinds({ content: null, reasoning_content: "hm", refusal: "no" })).toEqual(["reasoning", "refusal"]);
  expect(kinds({ content: [{ type: "thinking", thinking: "hm" }, { type: "text", text: "yes" }] })).toEqual(["reasoning", "text"]);
  expect(partsOf({ role: "assistant", content: "<think>\nhm\n</think>\n\nyes" })).toEqual([
    { kind: "reasoning", text: "hm" },
    { kind: "text", text: "yes" },
  ]);
  expect(partsOf({ role: "user", content: "<think>x</think>y" })).toHaveLength(1);
});

const call = (id: string) => ({ id, type: "function", function: { name: "look", arguments: '{"city": "Paris"}' } });
const result = (id: string, content: string) => ({ role: "tool", tool_call_id: id, content });
const answers = (messages: Record<string, unknown>[]) => turns(messages).map(({ results }) => results.map((one) => one?.content));

it("puts results to the calls that they answer, whatever their order", () => {
  const calls = { role: "assistant", tool_calls: [call("a"), call("b")] };
  expect(answers([calls, result("b", "two"), result("a", "one"), { role: "assistant", content: "done" }])).toEqual([["one", "two"], []]);
});

it("gives the answer to the last call where an id is used again", () => {
  const calls = { role: "assistant", tool_calls: [call("a")] };
  const found = answers([calls, result("a", "one"), calls, result("a", "two"), result("a", "three")]);
  expect(found).toEqual([["one"], ["two"], []]);
});

it("leaves a result without its call where it is, and a call without result alone", () => {
  expect(turns([result("x", "?")])).toEqual([{ message: result("x", "?"), results: [] }]);
  expect(turns([{ role: "assistant", tool_calls: [call("a")] }])[0]?.results).toEqual([null]);
});

it("knows the older form of function calls, and the blocks of others", () => {
  const older = { role: "assistant", function_call: { name: "look", arguments: "{}" } };
  expect(answers([older, { role: "function", name: "look", content: "seen" }])).toEqual([["seen"]]);
  expect(callsOf({ role: "assistant", content: [{ type: "tool_use", id: "t", name: "look", input: { x: 1 } }] })).toEqual([
    { id: "t", name: "look", args: { x: 1 } },
  ]);
});

it("reads arguments where they are JSON", () => {
  expect(callsOf({ role: "assistant", tool_calls: [call("a")] })).toEqual([{ id: "a", name: "look", args: { city: "Paris" } }]);
  expect(callsOf({ role: "assistant", tool_calls: [{ function: { name: "f", arguments: "{no" } }] })[0]?.args).toBe("{no");
  expect(callsOf({ role: "assistant", tool_calls: ["x", null] })).toEqual([]);
  expect(summary({ city: "Paris", days: 3 })).toBe('city: "Paris", days: 3');
  expect(summary({ text: "x".repeat(500) }).length).toBeLessThan(170);
  expect(summary(null)).toBe("");
  expect(pretty({ a: 1 })).toBe('{\n  "a": 1\n}');
});

it("copies everything but what is null", () => {
  expect(rawText({ role: "user", content: "hi", name: null })).toBe("hi");
  expect(rawText({ role: "user", content: "hi", name: "anna" })).toBe('hi\n\n{\n  "name": "anna"\n}');
  expect(completionMessage({ message: null, completion: "yes" })).toEqual({ role: "assistant", content: "yes" });
});

it.each([
  ["/images/default/9c92.png", true],
  ["/images/pro%20ject/x.jpeg", true],
  ["data:image/webp;base64,AA", true],
  ["data:image/svg+xml;base64,AA", false],
  ["/images/../x.png", false],
  ["/images/%2e%2e/x.png", false],
  ["/images/a/b.svg", false],
  ["//example.com/images/x.png", false],
  ["https://example.com/x.png", false],
  ["javascript:alert(1)", false],
])("loads %s: %s", (url, loaded) => expect(isOwnImage(url)).toBe(loaded));

it.each([
  ["https://example.com", "https://example.com/"],
  ["MAILTO:a@b.c", "mailto:a@b.c"],
  ["javascript:alert(1)", null],
  [" javascript:alert(1)", null],
  ["data:text/html,x", null],
  ["/api/v1/keys", null],
  ["//example.com", null],
  ["#x", null],
  [undefined, null],
])("leads from %s to %s", (href, target) => expect(safeTarget(href)).toBe(target));

it("tells where a link leads that names another place", () => {
  expect(otherHost("https://bank.com/login", "https://example.com/")).toBe("example.com");
  expect(otherHost("bank.com", "https://www.bank.com/x")).toBeNull();
  expect(otherHost("our page", "https://example.com/")).toBeNull();
});

it("joins texts that were parted to say what they cite, and no others", () => {
  const texts = (content: unknown[]) => partsOf(withJoinedTexts({ role: "assistant", content })).map((part) => "text" in part && part.text);
  const [one, two] = [{ type: "text", text: "Herons wade", citations: [{}] }, { type: "text", text: "." }];
  expect(texts([two, one, two, one])).toEqual([".Herons wade.Herons wade"]);
  expect(texts([two, two])).toEqual([".", "."]);
});

it("says that a provider kept reasoning to itself", () => {
  const kinds = (message: Record<string, unknown>) => partsOf({ role: "assistant", content: "yes", ...message }).map(({ kind }) => kind);
  expect(kinds({ thinking_blocks: [{ type: "redacted_thinking", data: "x" }] })).toEqual(["sealed", "text"]);
  expect(kinds({ response_items: [{ type: "reasoning", summary: [], encrypted_content: "x" }] })).toEqual(["sealed", "text"]);
  expect(kinds({ response_items: [{ type: "reasoning", summary: [{ text: "hm" }] }], thinking_blocks: "odd" })).toEqual(["text"]);
});
