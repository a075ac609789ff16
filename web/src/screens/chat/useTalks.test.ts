import { expect, it } from "vitest";
import type { Interaction } from "~/api/client";
import { messagesOf, talkOf, withoutAnswer } from "./useTalks";

const logged = {
  completion_id: "1",
  model: "gpt",
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hello" },
  ],
  completion: "Hi",
  parameters: { temperature: 0.2, stream: true, tools: [{ type: "function" }] },
} as unknown as Interaction;

it("goes on with a logged conversation, its system prompt and its parameters", () => {
  const { talk, settings } = talkOf(logged);
  expect(talk.turns.map(({ message }) => message)).toEqual([
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Hi" },
  ]);
  expect(settings).toEqual({ system: "Be brief.", temperature: "0.2", parameters: { tools: [{ type: "function" }] } });
  expect(messagesOf(talk.turns, settings.system)[0]).toEqual({ role: "system", content: "Be brief." });
});

it("asks the last question again, and sends no answer that failed", () => {
  const { talk } = talkOf(logged);
  expect(withoutAnswer(talk.turns)).toHaveLength(1);
  const failed = [...talk.turns, { message: { role: "assistant", content: "" }, model: "gpt", failure: new Error("no") }];
  expect(messagesOf(failed, " ")).toHaveLength(2);
});
