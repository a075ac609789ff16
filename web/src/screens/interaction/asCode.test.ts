import { expect, it } from "vitest";
import { asCurl, asPython, type Call, inPython } from "./asCode";

const call: Call = {
  url: "http://localhost:7400/api/v1",
  model: "shop/gpt",
  messages: [{ role: "user", content: "It's \"5\" $HOME `x`\nand more" }],
  parameters: { seed: 107505301260286111n, stream: true, top_k: 4 },
};

it("writes a command that a shell leaves as it is, with all digits", () => {
  const command = asCurl(call);
  expect(command).toContain("curl 'http://localhost:7400/api/v1/chat/completions'");
  expect(command).toContain(`"content": "It'\\''s \\"5\\" $HOME \`x\`\\nand more"`);
  expect(command).toContain('"seed": 107505301260286111');
});

it("writes Python with its own words, and unknown parameters in extra_body", () => {
  const code = asPython(call);
  expect(code).toContain('model="shop/gpt",');
  expect(code).toContain("stream=True,");
  expect(code).toContain('extra_body={\n        "top_k": 4,\n    },');
  expect(inPython([null, false, [], { a: {} }])).toBe('[\n    None,\n    False,\n    [],\n    {\n        "a": {},\n    },\n]');
});
