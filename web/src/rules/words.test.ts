import { expect, it } from "vitest";
import cases from "../../../tests/message_words.json";
import { completionWords, messageWords } from "./words";

it.each(cases.map(({ message, words }) => [words, message] as const))("says %j as the server does", (words, message) => {
  expect(messageWords(message)).toBe(words);
});

it("says a completion that is only a text", () => {
  expect(completionWords({ message: null, completion: "yes" })).toBe("yes");
});
