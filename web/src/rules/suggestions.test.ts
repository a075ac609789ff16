import { describe, expect, it } from "vitest";
import { suggest, type Words, wordAt } from "./suggestions";

const words: Words = {
  labels: [{ key: "env", count: 5, values: [{ value: "prod", count: 4 }, { value: "two words", count: 1 }] }],
  metrics: [
    { key: "CSAT", name: "CSAT", kind: "scalar", category: "user" },
    { key: "accepted", name: "accepted", kind: "bool", category: "user" },
    { key: "latency", name: "Latency", kind: "scalar", category: "system" },
  ],
  models: ["gpt-5", "org/model"],
  values: { user: ["ann"], finish: ["stop"] },
};
const texts = (word: string) => suggest(word, words).shown.map(({ text }) => text);

describe("what can be typed next", () => {
  it("is any field, metric or label at first", () => {
    expect(texts("")).toContain("CSAT>=");
    expect(texts("la")).toEqual(expect.arrayContaining(["label.", "label.env:"]));
  });
  it("is an outcome after session.", () => {
    expect(texts("session.")).toEqual(["session.CSAT>=", "session.accepted=true"]);
    expect(texts("acc")).toEqual(["accepted=true"]);
  });
  it("is a label's value after its key", () => expect(texts("label.env:")).toEqual(["label.env:prod", 'label.env:"two words"']));
  it("is one more value after a comma", () => expect(texts("label.env:prod,tw")).toEqual(['label.env:prod,"two words"']));
  it("is a metric after has:", () => expect(texts("has:a")).toContain("has:accepted"));
  it("is said to be more than is shown", () => {
    const labels = Array.from({ length: 300 }, (_, number) => ({ key: `key-${number}`, count: 300 - number, values: [] }));
    const { shown, leftOut } = suggest("label.", { ...words, labels });
    expect(shown.slice(0, 3).map(({ text }) => text)).toEqual(["label.key-0:", "label.key-1:", "label.key-2:"]);
    expect(shown.length + leftOut).toBe(300);
    expect(suggest("label.key-299", { ...words, labels })).toMatchObject({ shown: [{ text: "label.key-299:" }], leftOut: 0 });
  });
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
