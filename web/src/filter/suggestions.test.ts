import { describe, expect, it } from "vitest";
import { suggest, type Vocabulary, wordAt } from "./suggestions";

const words: Vocabulary = {
  labels: [{ key: "env", count: 5, values: [{ value: "prod", count: 4 }, { value: "two words", count: 1 }] }],
  metrics: [
    { key: "CSAT", name: "CSAT", kind: "scalar" },
    { key: "accepted", name: "accepted", kind: "bool" },
  ],
  models: ["gpt-5", "org/model"],
};
const texts = (word: string) => suggest(word, words).map(({ text }) => text);

describe("what can be typed next", () => {
  it("is any field, metric or label at first", () => {
    expect(texts("")).toContain("CSAT>=");
    expect(texts("la")).toEqual(expect.arrayContaining(["label.", "label.env:"]));
  });
  it("is a label's value after its key", () => expect(texts("label.env:")).toEqual(["label.env:prod", 'label.env:"two words"']));
  it("is one more value after a comma", () => expect(texts("label.env:prod,tw")).toEqual(['label.env:prod,"two words"']));
  it("is a metric after has:", () => expect(texts("has:a")).toContain("has:accepted"));
  it("is found in the middle of a name, too", () => expect(texts("model:mod")).toEqual(["model:org/model"]));
});

describe("the word at the cursor", () => {
  it.each([
    ["a b", 3, "b", 2],
    ["a -mod", 6, "mod", 3],
    ['label.k:"x y', 12, 'label.k:"x y', 0],
    ["(state", 6, "state", 1],
    ["a ", 2, "", 2],
  ])("%s|%i", (query, cursor, word, start) => expect(wordAt(query, cursor)).toEqual({ word, start }));
});
