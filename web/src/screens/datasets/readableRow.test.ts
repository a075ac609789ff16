import { expect, it } from "vitest";
import { readableRow } from "./readableRow";

const ASKED = { role: "user", content: "Weather?" };
const CALL = { role: "assistant", content: null, tool_calls: [{ function: { name: "weather", arguments: '{"city": "Paris"}' } }] };

it("says a row in words, with its rating and its side of the split", () => {
  const row = { messages: [ASKED], completion: CALL, feedbacks: { good: true }, labels: { env: "prod" } };
  expect(readableRow({ ...row, metadata: { split: "train", model: "m" } })).toEqual({
    prompt: [{ name: "user", words: "Weather?" }],
    answers: [{ name: "completion", words: 'weather(city: "Paris")' }],
    values: [["good", true]],
    labels: [["env", "prod"]],
    facts: ["train", "m"],
  });
});

it("says both sides of a preference, the chosen one first", () => {
  const row = { messages: [ASKED], preferred_completion: "Sunny", other_completion: [CALL], feedback_key: "better" };
  const { answers, facts } = readableRow(row);
  expect(answers.map(({ name, words }) => [name, words])).toEqual([["chosen", "Sunny"], ["rejected", 'weather(city: "Paris")']]);
  expect(facts).toEqual(["better"]);
});
