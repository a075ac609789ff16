import { describe, expect, it } from "vitest";
import { fitting } from "./fitting";
import { atPath } from "./jsonPath";

describe("chips", () => {
  it("are all shown where there is room, or where the room is not known", () => {
    expect(fitting(["env prod", "lang en"], 400)).toBe(2);
    expect(fitting(["env prod", "lang en"], undefined)).toBe(2);
    expect(fitting([], 10)).toBe(0);
  });
  it("make room for how many more there are", () => {
    const texts = Array.from({ length: 10 }, (_, number) => `key-${number} value`);
    const some = fitting(texts, 300);
    expect(some).toBeGreaterThan(0);
    expect(some).toBeLessThan(4);
    expect(fitting(texts, 20)).toBe(1);
    expect(fitting(texts, 600)).toBeGreaterThan(some);
  });
});

it.each([
  ["usage.total_tokens", 12],
  ["$.usage.total_tokens", 12],
  ["feedback[1].value", 5],
  ['labels["a.b"]', "x"],
  ["usage.nothing.at.all", undefined],
  ["constructor", undefined],
])("reads the path %s", (path, value) => {
  const interaction = { usage: { total_tokens: 12 }, feedback: [{ value: 4 }, { value: 5 }], labels: { "a.b": "x" } };
  expect(atPath(interaction, path)).toBe(value);
});
