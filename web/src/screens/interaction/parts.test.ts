import { describe, expect, it } from "vitest";
import { chunks, visible } from "./Plain";
import { isOwnImage, partsOf, pretty, toolCallsOf, withoutResults } from "./parts";

describe("a message", () => {
  it("has texts and images in their order, in all forms", () => {
    const content = [
      { type: "text", text: "Look" },
      { type: "image_url", image_url: { url: "/images/p/1.png" } },
      { type: "image_url", image_url: "/images/p/2.png" },
      { type: "image", url: "/images/p/3.png" },
      { type: "input_audio", input_audio: { data: "x" } },
    ];
    expect(partsOf({ role: "user", content }).map(({ kind }) => kind)).toEqual([
      "text", "image", "image", "image", "other",
    ]);
  });
  it("shows reasoning first and a refusal as such", () => {
    const found = partsOf({ role: "assistant", content: null, reasoning_content: "hm", refusal: "no" });
    expect(found.map(({ kind }) => kind)).toEqual(["reasoning", "refusal"]);
  });
  it("has its tool calls with what they answered, which then stands nowhere else", () => {
    const call = { role: "assistant", tool_calls: [{ id: "1", function: { name: "f", arguments: "{}" } }] };
    const result = { role: "tool", tool_call_id: "1", content: "42" };
    const stray = { role: "tool", tool_call_id: "2", content: "?" };
    expect(toolCallsOf(call, [result])).toEqual([{ id: "1", name: "f", arguments: "{}", result: "42" }]);
    expect(withoutResults([call, result, stray])).toEqual([call, stray]);
  });
});

describe("a text", () => {
  it("shows what is invisible", () => expect(visible("a\u202Eb\u200B")).toBe("a⟨U+202E⟩b⟨U+200B⟩"));
  it("comes in pieces that lose nothing but line ends", () => {
    const long = `${"x".repeat(15_000)}\n${"y".repeat(15_000)}\nz`;
    expect(chunks(long).join("\n")).toBe(long);
    expect(chunks("w".repeat(50_000)).join("")).toBe("w".repeat(50_000));
  });
  it("is laid out where it is JSON", () => expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}'));
});

it.each([
  ["/images/p/x.png", true],
  ["data:image/png;base64,AA", true],
  ["data:image/svg+xml;base64,AA", false],
  ["https://example.com/x.png", false],
  ["javascript:alert(1)", false],
])("loads %s: %s", (url, loaded) => expect(isOwnImage(url)).toBe(loaded));
