import { expect, it } from "vitest";
import type { Interaction } from "~/api/client";
import { csvHead, csvRow, jsonLine, ownLines } from "./lines";

const one = {
  completion_id: "1",
  created_at: "2026-11-01T00:00:00Z",
  model: "m",
  prompt: '=1+1, "quoted"',
  completion: "two\nlines",
  labels: { env: "prod" },
  feedback: [
    { metric: "CSAT", value: 4 },
    { metric: "CSAT", value: 5 },
  ],
  preferences: [],
} as unknown as Interaction;

it("writes a table in which nothing is a formula", () => {
  expect(csvHead(["env"], ["CSAT"])).toMatch(/^\ufeffcompletion_id,.*,label\.env,CSAT\r\n$/);
  expect(csvRow(one, ["env"], ["CSAT", "other"])).toBe(
    `1,2026-11-01T00:00:00Z,m,"'=1+1, ""quoted""","two\nlines",,,,prod,4.5,\r\n`,
  );
});

it.each([
  [{ tool_calls: [{ function: { name: "weather", arguments: '{"city": "Paris"}' } }] }, '"weather(city: ""Paris"")"'],
  [{ refusal: "I cannot." }, "I cannot."],
  [{ audio: { transcript: "Good morning" } }, "Good morning"],
  [{ content: [{ type: "file", file: { filename: "bill.pdf" } }] }, "bill.pdf"],
])("says in words what %j answers", (message, words) => {
  const messages = [{ role: "user", content: [{ type: "file", file: { filename: "ask.pdf" } }] }, { role: "tool", content: "-" }];
  const silent = { ...one, prompt: "", completion: "", messages, message: { role: "assistant", content: null, ...message } };
  expect(csvRow(silent as Interaction, [], [])).toContain(`,m,ask.pdf,${words},`);
});

it("leaves feedback out where it is not wanted", () => {
  expect(JSON.parse(jsonLine(one, false)).feedback).toEqual([]);
  expect(JSON.parse(jsonLine(one, true))).toEqual(one);
});

it("writes lines in the server's own bytes", () => {
  const lines = [
    '{"completion_id": "1", "parameters": {"order": 107505301260286111, "top_p": 1.0, "deep": [{"a": "}]"}]}}',
    String.raw`{"completion": "a \"quoted\" { and \\", "feedback": []}`,
  ];
  const page = `{"interactions": [${lines.join(", ")}], "next": null, "previous": {"a": [{}]}}`;
  expect(ownLines(page)).toEqual(lines.map((line) => `${line}\n`));
  expect(ownLines('{"interactions":[],"next":null}')).toEqual([]);
});
